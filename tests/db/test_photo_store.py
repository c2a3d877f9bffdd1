"""The photo store keeps bytes under their hash and gives nothing else away."""

from hashlib import sha256
from pathlib import Path

import pytest

from db.photos import PhotoStore
from models.errors import InvalidInput, NotFound, Unavailable


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


def test_any_fsspec_store() -> None:
    store = PhotoStore("memory://photos")
    assert store.get(store.put(b"photo")) == b"photo"
