"""A feature map is pooled to one number a channel, the subject's cells before the background's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.networks.architectures import Pooling
from models.encoders.networks.build import build_network
from models.encoders.networks.pooling import FocusedPooling, MeanPooling
from models.encoders.package import MANIFEST_FILE, read_package, write_package
from models.encoders.runtimes import open_encoder
from models.encoders.specs import network_spec
from tests.support.networks import NETWORK, SMALL, write_weights
from tests.support.pictures import picture


def maps(*cells: tuple[int, int, int, float]) -> torch.Tensor:
    """One map of 4 channels, 9 by 9, that is nothing but in these (channel, row, column, value)."""
    made = torch.zeros(1, 4, 9, 9)
    for channel, row, column, value in cells:
        made[0, channel, row, column] = value
    return made


def test_the_mean_is_the_mean() -> None:
    torch.manual_seed(0)
    some = torch.rand(2, 4, 9, 9)
    torch.testing.assert_close(MeanPooling()(some), some.flatten(2).mean(2))


def test_it_is_the_formula() -> None:
    torch.manual_seed(0)
    some = torch.rand(2, 4, 5, 5)
    expected = np.zeros((2, 4))
    places = np.linspace(-1, 1, 5)
    weights = np.array([[np.exp(-(y * y + x * x) / 4.5) for x in places] for y in places])
    weights /= weights.sum()
    for photo, one in enumerate(some.numpy()):
        energy = (one**2).sum(0) ** -0.2
        expected[photo] = np.sqrt((weights * energy * one**2).sum((1, 2)))
    np.testing.assert_allclose(FocusedPooling()(some).numpy(), expected, rtol=1e-5)


def test_the_middle_counts_more_than_the_edge() -> None:
    pooled = FocusedPooling()(maps((0, 4, 4, 1.0), (1, 0, 4, 1.0), (2, 0, 0, 1.0)))[0]
    assert pooled[0] > pooled[1] > pooled[2] > pooled[3]
    assert pooled[3] == pytest.approx(1e-6)


def test_what_is_clear_in_a_few_cells_counts_more_than_what_is_everywhere_a_little() -> None:
    few = maps((0, 4, 3, 2.0), (0, 4, 5, 2.0))
    everywhere = torch.zeros(1, 4, 9, 9)
    everywhere[0, 1] = 4.0 / 81
    both = few + everywhere
    clear, faint = FocusedPooling()(both)[0, :2]
    mean_clear, mean_faint = MeanPooling()(both)[0, :2]
    assert mean_clear == pytest.approx(float(mean_faint))
    assert clear > 2 * faint


def test_it_can_be_learned_through_also_where_nothing_is_seen() -> None:
    empty = torch.zeros(1, 4, 9, 9, requires_grad=True)
    FocusedPooling()(empty).sum().backward()
    assert empty.grad is not None
    assert torch.isfinite(empty.grad).all()


def test_another_pooling_is_another_encoder_and_that_of_before_is_the_same(tmp_path: Path) -> None:
    mean = NETWORK.pooled_by(Pooling.MEAN)
    assert network_spec(mean, "0" * 64).fingerprint != network_spec(NETWORK, "0" * 64).fingerprint
    weights = write_weights(tmp_path / "weights")
    pixels = torch.rand(1, 3, 64, 64)
    body = build_network(mean, weights)
    found = body(pixels)
    torch.testing.assert_close(found, torch.nn.Sequential(*body.stages())(pixels).mean((2, 3)))
    assert not torch.allclose(found, build_network(NETWORK, weights)(pixels))


def test_a_package_of_an_earlier_release_is_pooled_by_the_mean(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "weights")
    mean = NETWORK.pooled_by(Pooling.MEAN)
    models = tmp_path / "models"
    package = write_package(models, mean, weights=weights, transform=SMALL, facts={})
    manifest = package.folder / MANIFEST_FILE
    text = manifest.read_text()
    assert '"pooling": "mean",' in text
    # As it was written before there was another.
    manifest.write_text(text.replace('"pooling": "mean",', ""))
    assert read_package(package.folder) == replace(package, architecture=mean)
    other = write_package(models, NETWORK, weights=weights, transform=SMALL, facts={})
    assert other.spec != package.spec
    library = EncoderLibrary(AUTO, None, models)
    photo = [picture(1)]
    one, another = (
        open_encoder(library, spec, threads=1).embed(photo) for spec in (package.spec, other.spec)
    )
    assert 0.5 < float(one[0] @ another[0]) < 0.9999
