"""What is wrong with a photo."""

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from models.domain.types import PhotoFlaw
from models.encoders.networks.architectures import EFFICIENTNET_LITE, RESNET50
from models.subjects.quality import LEAST_SIDE, flaws, photo_quality
from tests.support.pictures import picture

CLEAR = 2.0


def told(photo: Image.Image, contrast: float | None = CLEAR) -> set[PhotoFlaw]:
    return set(flaws(photo_quality(photo, contrast), EFFICIENTNET_LITE.name))


def darkened(photo: Image.Image, light: float) -> Image.Image:
    """As if so much less light had fallen on it."""
    linear = (np.asarray(photo, np.float32) / 255) ** 2.2 * light
    return Image.fromarray((linear ** (1 / 2.2) * 255).astype(np.uint8))


@pytest.mark.parametrize("seed", range(4))
def test_a_good_photo_has_no_flaw_and_what_was_done_to_it_is_told(seed: int) -> None:
    good = ImageOps.autocontrast(picture(seed, (384, 288)))
    assert told(good) == set()
    assert told(good.filter(ImageFilter.GaussianBlur(6))) == {PhotoFlaw.BLURRED}
    assert told(darkened(good, 0.1)) == {PhotoFlaw.DARK}
    assert PhotoFlaw.TOO_SMALL in told(good.resize((LEAST_SIDE, LEAST_SIDE - 1)))
    assert PhotoFlaw.TOO_SMALL not in told(good.resize((LEAST_SIDE, LEAST_SIDE)))


def test_the_more_blurred_the_higher_the_number() -> None:
    good = picture(1, (384, 288))
    measured = [
        photo_quality(good.filter(ImageFilter.GaussianBlur(radius)), None).blur
        for radius in (0, 1, 2, 4, 8)
    ]
    assert measured == sorted(measured)
    assert 0 <= measured[0] < measured[-1] <= 1


def test_whether_a_subject_is_clear_depends_on_the_network() -> None:
    quality = photo_quality(picture(1), 0.8)
    assert PhotoFlaw.NO_CLEAR_SUBJECT in set(flaws(quality, EFFICIENTNET_LITE.name))
    assert PhotoFlaw.NO_CLEAR_SUBJECT not in set(flaws(quality, RESNET50.name))
    assert PhotoFlaw.NO_CLEAR_SUBJECT not in told(picture(1), contrast=None)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (64, 64)])
def test_a_photo_of_one_colour_is_no_fault_of_the_program(size: tuple[int, int]) -> None:
    quality = photo_quality(Image.new("RGB", size, (128, 128, 128)), 0.0)
    assert quality.blur == 1
    assert PhotoFlaw.NO_CLEAR_SUBJECT in set(flaws(quality, EFFICIENTNET_LITE.name))
