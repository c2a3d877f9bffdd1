from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from db.photos import PhotoStore
from etl.images import AHEAD, FeedPhoto, prepare_photos
from models.errors import Unavailable
from tests.support.feeds import listing_id, photo_id
from tests.support.pictures import jpeg

LIMIT = 100_000


def feed_photo(number: int, path: Path) -> FeedPhoto:
    return FeedPhoto(number + 1, photo_id(number), listing_id(1), path)


def test_photos_are_stored_in_the_standard_form_and_come_in_order(
    tmp_path: Path, store: PhotoStore
) -> None:
    photos = []
    for number in range(40):
        path = tmp_path / f"{number}.jpg"
        # Large and small in turn, so that later ones are done before earlier ones.
        path.write_bytes(jpeg(number, (900, 700) if number % 2 else (64, 48)))
        photos.append(feed_photo(number, path))
    prepared = list(prepare_photos(photos, store, max_bytes=LIMIT, threads=4))
    assert [photo.source for photo in prepared] == photos
    for photo in prepared:
        assert photo.data is not None
        assert sha256(store.get(photo.data.sha256)).hexdigest() == photo.data.sha256
    assert {(photo.data.width, photo.data.height) for photo in prepared if photo.data} == {
        (512, 398),
        (64, 48),
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just text", "not a JPEG, PNG or WebP"),
        (b"GIF89a" + bytes(50), "not a JPEG, PNG or WebP"),
        (jpeg(1)[:-2000], "damaged"),
        (jpeg(1) + bytes(LIMIT), "more than 100,000 bytes"),
        (None, "no such photo file"),
    ],
)
def test_a_photo_that_cannot_be_used_gives_a_reason_and_spoils_no_other(
    tmp_path: Path, store: PhotoStore, data: bytes | None, reason: str
) -> None:
    bad, good = tmp_path / "bad.jpg", tmp_path / "good.jpg"
    if data is not None:
        bad.write_bytes(data)
    good.write_bytes(jpeg(2))
    photos = [feed_photo(1, bad), feed_photo(2, good)]
    refused, used = prepare_photos(photos, store, max_bytes=LIMIT, threads=2)
    assert refused.data is None
    assert reason in refused.reason
    assert used.data is not None


def test_a_folder_in_the_place_of_a_photo_is_no_photo(tmp_path: Path, store: PhotoStore) -> None:
    (refused,) = prepare_photos([feed_photo(1, tmp_path)], store, max_bytes=LIMIT, threads=1)
    assert "no such photo file" in refused.reason


def test_only_a_window_of_photos_is_taken_ahead(tmp_path: Path, store: PhotoStore) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(1, (64, 48)))
    taken = 0

    def photos() -> Iterator[FeedPhoto]:
        nonlocal taken
        for number in range(1_000):
            taken += 1
            yield feed_photo(number, path)

    prepared = prepare_photos(photos(), store, max_bytes=LIMIT, threads=2)
    next(prepared)
    assert taken <= 2 * AHEAD
    prepared.close()
    assert taken <= 2 * AHEAD


def test_a_store_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(1))
    (tmp_path / "store").write_text("a file in the way")
    store = PhotoStore(str(tmp_path / "store"))
    with pytest.raises(Unavailable):
        list(prepare_photos([feed_photo(1, path)], store, max_bytes=LIMIT, threads=1))
