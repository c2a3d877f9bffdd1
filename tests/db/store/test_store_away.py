"""A photo store whose folder has gone is away: no photo of it is missing, and none is made anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

from db.store.photo_store import PhotoStore
from models.domain.errors import NotFound, Unavailable

CALLS: list[Callable[[PhotoStore, str], object]] = [
    lambda store, digest: store.get(digest),
    lambda store, digest: store.get_stored(digest),
    lambda store, digest: store.has(digest),
    lambda store, _: store.put(b"another"),
]


def known_as_there(store: PhotoStore, how: str, digest: str) -> None:
    """Let the store know that its folder is there, in one of the ways in which it may."""
    if how == "asked":
        store.remember()
    elif how == "read":
        store.get(digest)
    else:
        store.put(b"one more")


@pytest.mark.parametrize("how", ["asked", "read", "written"])
@pytest.mark.parametrize("call", CALLS)
def test_a_folder_that_has_gone_is_an_outage(
    store: PhotoStore, call: Callable[[PhotoStore, str], object], how: str
) -> None:
    digest = store.put(b"a photo")
    place = Path(store.url)
    other = PhotoStore(store.url)
    known_as_there(other, how, digest)
    away = place.rename(place.with_name("away"))
    with pytest.raises(Unavailable, match="gone") as raised:
        call(other, digest)
    assert str(place) in raised.value.__notes__[0]
    assert not place.exists()
    away.rename(place)
    assert other.get(digest) == b"a photo"
    call(other, digest)


def test_a_folder_that_never_was_there_is_made(store: PhotoStore) -> None:
    store.remember()
    with pytest.raises(NotFound):
        store.get("0" * 64)
    assert store.get(store.put(b"a photo")) == b"a photo"


def test_a_photo_that_was_stored_is_missing_only_beside_others(store: PhotoStore) -> None:
    """An empty folder is one that nothing is mounted at."""
    with pytest.raises(Unavailable):
        store.get_stored("0" * 64)
    Path(store.url).mkdir()
    with pytest.raises(Unavailable):
        store.get_stored("0" * 64)
    store.put(b"a photo")
    with pytest.raises(NotFound):
        store.get_stored("0" * 64)
