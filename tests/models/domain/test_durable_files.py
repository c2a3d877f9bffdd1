import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from models.domain.durable_files import (
    atomic_file,
    make_folder,
    new_file,
    part_path,
    sha256_of,
    write_if_changed,
    write_json,
)

WRITER = """
import os, sys
from pathlib import Path
from models.domain.durable_files import atomic_file
os.fsync = lambda _: os._exit(9)
with atomic_file(Path(sys.argv[1]), concurrent=bool(sys.argv[2:])) as file:
    file.write(b"half")
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed_writer(path: Path, *options: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, str(path), *options], check=False)
    assert done.returncode == 9


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of what is flushed to the disk, in order."""
    found: list[str] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        found.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    return found


def test_sha256_of(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"content" * 100_000).hexdigest()


@pytest.mark.parametrize("concurrent", [False, True])
def test_a_file_takes_its_name_when_it_is_complete(
    tmp_path: Path, synced: list[str], *, concurrent: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with atomic_file(path, concurrent=concurrent) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert names(tmp_path) == ["file"]
    assert synced == ["file", "folder"]


@pytest.mark.parametrize("concurrent", [False, True])
def test_after_an_exception_the_file_is_as_it_was(tmp_path: Path, *, concurrent: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def interrupted() -> None:
        with atomic_file(path, concurrent=concurrent) as file:
            file.write(b"after")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["file"]


def test_the_next_writer_takes_over_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    killed_writer(path)
    assert names(tmp_path) == [part_path(path).name] == [".file.part"]
    with atomic_file(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert names(tmp_path) == ["file"]


def test_concurrent_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    killed_writer(path, "concurrent")
    left = names(tmp_path)
    assert len(left) == 1
    assert left[0].startswith(".file.")
    assert left[0].endswith(".part")
    with atomic_file(path, concurrent=True) as one, atomic_file(path, concurrent=True) as other:
        one.write(b"one")
        other.write(b"other")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == sorted([*left, "file"])


def test_a_new_file_is_flushed_and_never_written_over(tmp_path: Path, synced: list[str]) -> None:
    path = tmp_path / "file"
    with new_file(path) as file:
        file.write(b"content")
    assert synced == ["file"]
    with pytest.raises(FileExistsError), new_file(path):
        pass
    assert path.read_bytes() == b"content"


def test_what_says_so_already_is_left_alone(tmp_path: Path, synced: list[str]) -> None:
    path = tmp_path / "file"
    write_if_changed(path, "naïve")
    before = path.stat()
    write_if_changed(path, "naïve")
    assert path.stat().st_ino == before.st_ino
    write_if_changed(path, "other")
    assert path.read_text(encoding="utf-8") == "other"
    assert names(tmp_path) == ["file"]
    assert synced == []


def test_json_is_text_that_people_can_read(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"a": ["ï", 1]})
    assert (tmp_path / "file").read_text(encoding="utf-8") == (
        '{\n  "a": [\n    "ï",\n    1\n  ]\n}\n'
    )


def test_the_folder_above_each_new_folder_is_flushed(tmp_path: Path, synced: list[str]) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == ["folder", "folder"]
