"""Where in a photo a network sees something: the same in every runtime, and at no vector's cost."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
import torch
from PIL import ImageDraw

from models.adaptation.adapted_encoder import AdaptedEncoder, feature_map_of
from models.domain.durable_files import sha256_of
from models.domain.errors import WeightsRefused
from models.encoders import onnx as onnx_encoder
from models.encoders.encoder import unit_rows
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import RESNET50, Architecture, Pooling
from models.encoders.networks.pooling import pooling_named
from models.encoders.onnx import OnnxEncoder, open_network
from models.encoders.onnx_export import export_float32, quantise
from models.encoders.preprocessing import to_pixels
from models.encoders.runtimes import open_encoder
from models.encoders.specs import hog_spec, network_spec
from models.encoders.torch_encoder import TorchEncoder
from models.subjects.find import find_subjects
from sample.drawing.surfaces import grounds
from tests.support.networks import NETWORK, SMALL, write_weights
from tests.support.pictures import picture

SQUARE = (SMALL.crop, SMALL.crop)


@pytest.fixture(scope="module", autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def by_torch(weights: Path, architecture: Architecture = NETWORK) -> TorchEncoder:
    transform = architecture.transform.of_size(SMALL.crop)
    spec = network_spec(architecture, sha256_of(weights), transform)
    return TorchEncoder(spec, architecture, weights, 1, transform)


def by_onnx(network: Path, weights: Path, architecture: Architecture = NETWORK) -> OnnxEncoder:
    plain = by_torch(weights, architecture)
    transform = architecture.transform.of_size(SMALL.crop)
    return OnnxEncoder(plain.spec, network, sha256_of(network), transform, 1)


def test_it_is_what_the_vector_is_pooled_from(weights: Path) -> None:
    encoder = by_torch(weights)
    photo = picture(1, SQUARE)  # of which nothing is cut off before it is embedded
    features = encoder.feature_map(photo)
    assert features.cells.shape == (2, 2, NETWORK.dimension)
    assert features.cells.dtype == np.float32
    maps = torch.from_numpy(features.cells.transpose(2, 0, 1)[None])
    pooled = unit_rows(pooling_named(NETWORK.pooling)(maps).numpy())
    np.testing.assert_allclose(pooled, encoder.embed([photo]), atol=1e-6)


@pytest.mark.parametrize("pooling", list(Pooling))
def test_an_exported_network_gives_the_same(
    pooling: Pooling, weights: Path, tmp_path: Path
) -> None:
    """Though its file has no such output: those of earlier releases haven't either."""
    architecture = NETWORK.pooled_by(pooling)
    path = tmp_path / "network.onnx"
    export_float32(architecture, weights, SMALL, path)
    for seed, size in ((1, SQUARE), (2, (90, 200))):
        photo = picture(seed, size)
        expected = by_torch(weights, architecture).feature_map(photo)
        found = by_onnx(path, weights, architecture).feature_map(photo)
        assert (found.first, found.pitch) == (expected.first, expected.pitch)
        np.testing.assert_allclose(found.cells, expected.cells, atol=1e-4)


@pytest.mark.parametrize("architecture", [NETWORK, RESNET50], ids=lambda one: one.name)
def test_an_int8_network_gives_about_the_same(architecture: Architecture, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "weights.safetensors", architecture=architecture)
    transform = architecture.transform.of_size(SMALL.crop)
    float32, int8 = tmp_path / "float32.onnx", tmp_path / "int8.onnx"
    export_float32(architecture, weights, transform, float32)
    shown = [picture(seed, SQUARE) for seed in range(8)]
    quantise(float32, [np.stack([to_pixels(photo, transform) for photo in shown])], int8)
    for photo in shown[:3]:
        expected, found = (
            by_onnx(path, weights, architecture).feature_map(photo).cells
            for path in (float32, int8)
        )
        assert found.shape == expected.shape
        cosine = (found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected)
        assert cosine > 0.97


def test_vectors_stay_as_they_are_and_only_who_asks_pays(
    weights: Path, float32: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def counted(network: Path | bytes, threads: int) -> object:
        opened.append(network)
        return open_network(network, threads)

    monkeypatch.setattr(onnx_encoder, "open_network", counted)
    file = float32.read_bytes()
    encoder = by_onnx(float32, weights)
    shown = [picture(seed) for seed in range(3)]
    before = encoder.embed(shown)
    assert opened == [float32]
    encoder.feature_map(shown[0])
    encoder.feature_map(shown[1])
    assert len(opened) == 2
    np.testing.assert_array_equal(encoder.embed(shown), before)
    assert float32.read_bytes() == file


def test_a_graph_without_a_feature_map_is_refused(weights: Path, tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["pixels", "pixels"], ["embedding"])],
        "squares",
        [value("pixels", onnx.TensorProto.FLOAT, [1, 3, *SQUARE])],
        [value("embedding", onnx.TensorProto.FLOAT, [1, 3, *SQUARE])],
    )
    path = tmp_path / "squares.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(WeightsRefused, match="no feature map"):
        by_onnx(path, weights).feature_map(picture(1))


def test_a_network_that_was_exchanged_is_refused(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(b"not what was packaged")
    encoder = OnnxEncoder(by_torch(weights).spec, path, sha256(b"another").hexdigest(), SMALL, 1)
    with pytest.raises(WeightsRefused, match="hash"):
        encoder.feature_map(picture(1))


def test_an_adapted_encoder_sees_what_its_base_sees(weights: Path, tmp_path: Path) -> None:
    base = by_torch(weights)
    adapted = AdaptedEncoder(base.spec, base, tmp_path / "no map is read", "0" * 64)
    found = feature_map_of(adapted, picture(1))
    assert found
    np.testing.assert_array_equal(found.cells, base.feature_map(picture(1)).cells)


def test_an_encoder_without_a_network_has_none(tmp_path: Path) -> None:
    library = EncoderLibrary("hog", None, tmp_path)
    assert feature_map_of(open_encoder(library, hog_spec(), 1), picture(1)) is None


def test_the_installed_network_finds_a_thing_in_the_corner(tmp_path: Path) -> None:
    library = EncoderLibrary("efficientnet-lite", None, tmp_path)
    encoder = open_encoder(library, library.configured(), 1)
    photo = grounds()[1](Random(1), (400, 300)).convert("RGB")
    draw = ImageDraw.Draw(photo)
    for x, corner in ((40, "left"), (270, "right")):
        shown = photo.copy()
        draw = ImageDraw.Draw(shown)
        draw.ellipse((x + 60, 60, x + 100, 110), outline="navy", width=9)
        draw.rectangle((x, 40, x + 70, 130), fill="firebrick")
        draw.ellipse((x, 30, x + 70, 50), fill="white")
        features = feature_map_of(encoder, shown)
        assert features, corner
        box = find_subjects(features).found[0].region
        middle = (box.x + box.w / 2, box.y + box.h / 2)
        assert middle == pytest.approx(((x + 50) / 400, 80 / 300), abs=0.12), corner
        assert box.w * box.h < 0.4, corner
