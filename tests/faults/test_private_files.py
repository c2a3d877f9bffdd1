"""Files of the product are its user's alone, whatever the umask, and whatever they were before."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line.private_data import is_ours, keep_private
from db.session import Database
from db.store.photo_store import PhotoStore
from db.store.private_files import close_database_file, close_folder, close_to_others
from models.domain.durable_files import make_folder
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings

OPEN_FILE, OPEN_FOLDER = 0o644, 0o755


@pytest.fixture(autouse=True)
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """What others may do with a folder and all that is in it; sockets are in a closed folder."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISSOCK(mode):
            found[str(path.relative_to(folder))] = stat.filemode(mode)
    return found


def run(settings: Settings, *words: str) -> None:
    done = subprocess.run(
        marketlens_command(*words),
        env=child_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_everything_that_commands_make_is_their_users_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = Settings(data_dir=data, encoder="hog")
    feed = tmp_path / "feed"
    run(settings, "sample", str(feed), "--listings", "6", "--seed", "7")
    run(settings, "seed", str(feed), "--inline")
    assert {"marketlens.db", "photos", "generations"} <= {path.name for path in data.iterdir()}
    assert [path for path in data.iterdir() if not is_ours(path.name)] == []
    assert modes(data) == {}
    # As an earlier release left it.
    for path in [data, *data.rglob("*")]:
        path.chmod(OPEN_FOLDER if path.is_dir() else OPEN_FILE)
    run(settings, "migrate")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "marketlens.db").stat().st_mode) == 0o600
    run(settings, "reconcile")
    assert stat.S_IMODE((data / "photos").stat().st_mode) == 0o700


def test_a_database_and_what_lies_beside_it_are_closed(tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    file.touch(OPEN_FILE)
    database = Database(f"sqlite:///{file}")
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (x)")
        beside = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    database.close()
    assert beside == {"some.db": 0o600, "some.db-wal": 0o600, "some.db-shm": 0o600}


def test_a_photo_store_is_closed_and_its_photos_are_made_so(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir(OPEN_FOLDER)
    store = PhotoStore(str(root))
    store.put(b"photo")
    store.check()
    assert modes(root) == {}
    make_folder(tmp_path / "a" / "b")
    assert modes(tmp_path / "a") == {}


def test_a_folder_with_anything_else_in_it_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "home"
    shared.mkdir(OPEN_FOLDER)
    (shared / "marketlens.db").touch(OPEN_FILE)
    keep_private(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o700
    assert caplog.messages == []
    shared.chmod(OPEN_FOLDER)
    (shared / "thesis.tex").touch()
    keep_private(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == OPEN_FOLDER
    assert "can be read by other users" in caplog.text
    (shared / "0a").mkdir()
    PhotoStore(str(shared)).check()
    assert stat.S_IMODE(shared.stat().st_mode) == OPEN_FOLDER


def test_what_is_shared_on_purpose_and_links_are_left_alone(tmp_path: Path) -> None:
    sticky = tmp_path / "tmp"
    sticky.mkdir()
    sticky.chmod(0o1777)
    assert not close_to_others(sticky)
    assert stat.S_IMODE(sticky.stat().st_mode) == 0o1777
    target = tmp_path / "target"
    target.touch(OPEN_FILE)
    (tmp_path / "link").symlink_to(target)
    assert close_to_others(tmp_path / "link")
    assert stat.S_IMODE(target.stat().st_mode) == OPEN_FILE
    assert close_to_others(tmp_path / "nothing")
    assert close_database_file(tmp_path / "nothing.db")
    assert close_folder(tmp_path / "nothing", is_ours)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to others")
def test_what_belongs_to_another_user_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch(OPEN_FILE)
    os.chown(tmp_path / "theirs", 65534, 65534)
    assert os.geteuid() == 0
    assert not close_to_others(tmp_path / "theirs")
    assert stat.S_IMODE((tmp_path / "theirs").stat().st_mode) == OPEN_FILE
