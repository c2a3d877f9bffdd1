"""The photo store keeps bytes under their hash and gives nothing else away."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from db.store import photo_store as photos
from db.store.photo_store import GRACE, PREFIXES, PhotoStore
from models.domain.errors import InvalidInput, NotFound, SetupError, Unavailable
from tests.support.s3 import photo_bucket, s3_client, s3_server


def test_bytes_come_back_under_their_hash(store: PhotoStore) -> None:
    digest = store.put(b"photo")
    assert digest == sha256(b"photo").hexdigest()
    assert store.get(digest) == b"photo"
    assert store.put(b"photo") == digest


def test_unknown_photo(store: PhotoStore) -> None:
    with pytest.raises(NotFound):
        store.get("0" * 64)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "A" * 64, "a" * 63, "", "a" * 64 + "\n"])
def test_names_that_are_no_hash_are_refused(store: PhotoStore, name: str) -> None:
    with pytest.raises(InvalidInput):
        store.get(name)


def test_nothing_half_written_is_left(store: PhotoStore, tmp_path: Path) -> None:
    store.put(b"photo")
    files = [path.name for path in (tmp_path / "photos").rglob("*") if path.is_file()]
    assert files == [sha256(b"photo").hexdigest() + ".jpg"]


def test_a_store_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable):
        PhotoStore(str(tmp_path / "file")).put(b"photo")


NOW = datetime.now(UTC)
A_DAY = GRACE + timedelta(minutes=1)

Age = Callable[[str, timedelta], None]


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def s3_url(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with photo_bucket(s3_port, monkeypatch) as url:
        yield url


@pytest.fixture(params=["folder", "memory", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> PhotoStore:
    """A store in a folder, and two in what knows only whole objects."""
    match request.param:
        case "folder":
            return PhotoStore(str(tmp_path / "photos"))
        case "memory":
            return PhotoStore(f"memory://{uuid4()}/photos")
        case _:
            return PhotoStore(request.getfixturevalue("s3_url"))


@pytest.fixture(params=["folder", "memory"])
def ageing_store(request: pytest.FixtureRequest, tmp_path: Path) -> PhotoStore:
    """A store of either sort in which a file's age can be changed."""
    where = str(tmp_path / "photos") if request.param == "folder" else f"memory://{uuid4()}/photos"
    return PhotoStore(where)


@pytest.fixture
def age(ageing_store: PhotoStore) -> Age:
    """Makes a stored photo look so old."""

    def change(digest: str, to: timedelta) -> None:
        filesystem, path = ageing_store._locate(digest)
        then = NOW - to
        if isinstance(filesystem, MemoryFileSystem):
            filesystem.store[path].modified = then
        else:
            os.utime(path, (then.timestamp(), then.timestamp()))

    return change


def contents(store: PhotoStore) -> set[str]:
    return {digest for prefix in PREFIXES for digest in store.list_prefix(prefix, NOW).digests}


def leftovers(store: PhotoStore, now: datetime = NOW) -> list[str]:
    return [path for prefix in PREFIXES for path in store.list_prefix(prefix, now).leftovers]


def test_any_fsspec_store(any_store: PhotoStore) -> None:
    digest = any_store.put(b"photo")
    assert any_store.put(b"photo") == digest
    assert any_store.get(digest) == b"photo"
    with pytest.raises(NotFound):
        any_store.get("0" * 64)


def test_it_knows_what_it_has(any_store: PhotoStore) -> None:
    digest = any_store.put(b"photo")
    assert any_store.has(digest)
    assert not any_store.has("0" * 64)
    any_store.delete(digest)
    any_store.delete(digest)
    assert not any_store.has(digest)


def test_shelves_hold_everything_once(any_store: PhotoStore) -> None:
    assert any_store.list_prefix("00", NOW).digests == set()
    digests = {any_store.put(f"photo {number}".encode()) for number in range(30)}
    for prefix in sorted({digest[:2] for digest in digests} | {"00", "ff"}):
        expected = {digest for digest in digests if digest.startswith(prefix)}
        assert any_store.list_prefix(prefix, NOW).digests == expected


def test_there_is_a_shelf_for_every_photo(store: PhotoStore) -> None:
    digests = {store.put(f"photo {number}".encode()) for number in range(100)}
    assert contents(store) == digests


def test_what_was_listed_is_not_remembered(s3_url: str, s3_port: int) -> None:
    store = PhotoStore(s3_url)
    digest = store.put(b"photo")
    assert store.list_prefix(digest[:2], NOW).digests == {digest}
    by_another = s3_client(s3_port)
    bucket = s3_url.split("/")[2]
    (listed,) = by_another.list_objects_v2(Bucket=bucket)["Contents"]
    by_another.delete_object(Bucket=bucket, Key=listed["Key"])
    assert not store.has(digest)
    assert store.list_prefix(digest[:2], NOW).digests == set()


def test_files_of_others_are_left_out(store: PhotoStore, tmp_path: Path) -> None:
    digest = store.put(b"photo")
    folder = tmp_path / "photos" / digest[:2] / digest[2:4]
    for name in ("Thumbs.db", ".DS_Store", f"{digest}.png", f"{digest[:2]}{'0' * 62}.jpg"):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (0, 0))
    assert contents(store) == {digest}
    assert leftovers(store) == []


def test_an_unreadable_store_is_not_taken_for_an_empty_one(
    store: PhotoStore, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "00").symlink_to(tmp_path / "photos" / "00")
    with pytest.raises(Unavailable):
        store.list_prefix("00", NOW)


def test_only_old_photos_are_deleted_as_such(ageing_store: PhotoStore, age: Age) -> None:
    old, new = ageing_store.put(b"old"), ageing_store.put(b"new")
    age(old, A_DAY)
    age(new, GRACE - timedelta(minutes=1))
    gone = "0" * 64
    assert [ageing_store.is_old(digest, NOW) for digest in (old, new, gone)] == [True, False, False]
    assert [ageing_store.delete_old(item, NOW) for item in (old, new, gone)] == [True, False, False]
    assert contents(ageing_store) == {new}
    assert leftovers(ageing_store, NOW + timedelta(days=9)) == []


def test_what_was_put_or_asked_for_again_is_new(ageing_store: PhotoStore, age: Age) -> None:
    digest = ageing_store.put(b"photo")
    for ask in (lambda: ageing_store.put(b"photo"), lambda: ageing_store.has(digest)):
        age(digest, A_DAY)
        assert ageing_store.is_old(digest, NOW)
        ask()
        assert not ageing_store.is_old(digest, NOW)
        assert not ageing_store.delete_old(digest, NOW)
        assert ageing_store.get(digest) == b"photo"


def test_old_objects_of_s3(s3_url: str) -> None:
    store = PhotoStore(s3_url)
    digest = store.put(b"photo")
    assert not store.delete_old(digest, NOW)
    later = NOW + A_DAY + timedelta(hours=1)
    assert store.is_old(digest, later)
    assert store.delete_old(digest, later)
    assert not store.delete_old(digest, later)
    assert not store.has(digest)


def test_a_writer_that_comes_between_the_look_and_the_deletion_keeps_its_photo(
    store: PhotoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.put(b"photo")
    path = tmp_path / "photos" / digest[:2] / digest[2:4] / f"{digest}.jpg"
    os.utime(path, (0, 0))
    looked: list[bool] = []
    look = photos._is_old

    def look_then_put(*where: object) -> bool:
        looked.append(look(*where))  # type: ignore[arg-type]
        if len(looked) == 1:
            store.put(b"photo")
        return looked[-1]

    monkeypatch.setattr(photos, "_is_old", look_then_put)
    assert not store.delete_old(digest, NOW)
    assert looked == [True, False]
    assert store.get(digest) == b"photo"
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_writer_leaves_a_file_that_is_found(store: PhotoStore, tmp_path: Path) -> None:
    folder = str(tmp_path / "photos")
    script = (
        "import os, sys; from db.store.photo_store import PhotoStore; "
        "os.fsync = lambda _: os._exit(9); "
        "PhotoStore(sys.argv[1]).put(b'photo')"
    )
    # The folders are there, so that the first thing to be flushed is the photo.
    store.delete(store.put(b"photo"))
    killed = subprocess.run([sys.executable, "-c", script, folder], check=False)
    assert killed.returncode == 9
    assert contents(store) == set()
    assert leftovers(store) == []
    found = leftovers(store, NOW + timedelta(hours=2))
    assert len(found) == 1
    for _ in range(2):
        store.delete_leftover(found[0])
    assert [path for path in (tmp_path / "photos").rglob("*") if path.is_file()] == []


def test_photos_are_not_stored_where_nobody_checks_the_host() -> None:
    with pytest.raises(SetupError, match="SFTP"):
        PhotoStore("sftp://host/photos")
