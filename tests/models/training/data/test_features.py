from pathlib import Path

import numpy as np
import pytest

from models.domain.errors import NotFound
from models.labels import LabelledPhotos
from models.photo_decoding import decode
from models.training.data.features import features, unit_vectors
from models.training.data.pixels import PixelSet, squares
from tests.support.encoder import ThumbnailEncoder
from tests.support.training import catalogue


def quiet(_done: int, _total: int) -> None:
    pass


def test_vectors_are_the_encoders_in_half_precision(tmp_path: Path) -> None:
    photos, encoder = catalogue(), ThumbnailEncoder()
    found = unit_vectors(features(photos, encoder, tmp_path, quiet), photos)
    expected = encoder.embed([decode(photos.read(row)) for row in range(len(photos))])
    assert found == pytest.approx(expected, abs=1e-3)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_photo_of_two_listings_is_embedded_once(tmp_path: Path) -> None:
    photos, encoder = catalogue(6), ThumbnailEncoder()
    twice = photos.take([0, 1, 0, 2])
    found = unit_vectors(features(twice, encoder, tmp_path, quiet), twice)
    assert encoder.embedded == 3
    assert (found[0] == found[2]).all()


def test_nothing_is_embedded_again(tmp_path: Path) -> None:
    photos, encoder = catalogue(6), ThumbnailEncoder()
    for _ in range(2):
        features(photos, encoder, tmp_path, quiet)
    assert encoder.embedded == len(photos)


def test_another_encoder_has_vectors_of_its_own(tmp_path: Path) -> None:
    photos, other = catalogue(6), ThumbnailEncoder("other")
    features(photos, ThumbnailEncoder(), tmp_path, quiet)
    features(photos, other, tmp_path, quiet)
    assert other.embedded == len(photos)


def test_a_photo_that_is_not_there_is_named(tmp_path: Path) -> None:
    def missing(_digest: str) -> bytes:
        raise NotFound("There is no such photo.")

    photos = LabelledPhotos(("a" * 64,), ("lamp",), ("Home",), missing)
    with pytest.raises(NotFound, match="a" * 64):
        features(photos, ThumbnailEncoder(), tmp_path, quiet)


def test_squares_are_the_middle_of_photos(tmp_path: Path) -> None:
    photos = catalogue(6)
    pixels = PixelSet(squares(photos, 24, tmp_path, quiet), photos.hashes, np.zeros(6, np.int64))
    # 60 x 48 pixels: the middle 48 x 48, halved.
    middle = np.asarray(decode(photos.read(4)).crop((6, 0, 54, 48)).reduce(2), np.float32)
    found = pixels.photos([4])[0].permute(1, 2, 0).numpy() * 255
    assert found.shape == (24, 24, 3)
    assert np.abs(found - middle).mean() < 8
    assert np.abs(found.mean(axis=(0, 1)) - middle.mean(axis=(0, 1))).max() < 2
