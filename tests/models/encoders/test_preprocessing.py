"""Pixels are torchvision's, to the last bit, without torchvision."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from models.encoders.networks.architectures import RESNET50, PhotoTransform
from models.encoders.networks.torchvision_cpu import InterpolationMode, ResNet50_Weights
from models.encoders.preprocessing import to_pixels
from tests.support.paths import REPOSITORY
from tests.support.pictures import picture

SIZES = [(232, 232), (512, 384), (384, 512), (231, 512), (97, 41), (1, 300), (300, 1), (1, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "transform",
    [
        RESNET50.transform,
        RESNET50.transform.of_size(96),
        replace(
            RESNET50.transform, resize=64, crop=51, interpolation="bicubic", std=(0.3, 0.2, 0.1)
        ),
    ],
)
def test_pixels_are_torchvisions_own(size: tuple[int, int], transform: PhotoTransform) -> None:
    preset = ResNet50_Weights.IMAGENET1K_V2.transforms(
        resize_size=transform.resize,
        crop_size=transform.crop,
        mean=transform.mean,
        std=transform.std,
        interpolation=InterpolationMode(transform.interpolation),
    )
    photo = picture(5, size)
    pixels = to_pixels(photo, transform)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, preset(photo).numpy())


@pytest.mark.parametrize("crop", [64, 96, 128, 160, 224, 288])
def test_another_size_keeps_as_much_of_the_photo(crop: int) -> None:
    transform = RESNET50.transform.of_size(crop)
    assert transform.crop == crop
    assert abs(transform.crop / transform.resize - 224 / 232) < 1 / transform.resize


def test_the_usual_size_is_the_preset() -> None:
    assert RESNET50.transform.of_size(224) == RESNET50.transform


@pytest.mark.parametrize("module", ["models.encoders.onnx", "models.encoders.library"])
def test_serving_an_exported_network_needs_no_torch(module: str) -> None:
    code = f"import {module}, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert done.stdout == "False\n"
