"""An exported network gives the vectors of the one it was made of, wherever it runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from models.domain.durable_files import sha256_of
from models.domain.errors import WeightsRefused
from models.domain.types import Precision
from models.encoders import onnx as onnx_encoder
from models.encoders.encoder import Encoder, unit_rows
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import RESNET50
from models.encoders.onnx import BATCH, INPUT, OUTPUT, OnnxEncoder, open_network
from models.encoders.onnx_export import export_float32, quantise
from models.encoders.package import Package, write_package
from models.encoders.preprocessing import to_pixels
from models.encoders.runtimes import open_encoder
from models.encoders.specs import network_spec
from models.encoders.torch_encoder import TorchEncoder
from tests.support.networks import NETWORK, SMALL, write_weights
from tests.support.pictures import picture


@pytest.fixture(scope="module", autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


def photos(*seeds: int) -> list[Image.Image]:
    return [picture(seed, (90 + 7 * seed, 120)) for seed in seeds]


def batches() -> Iterator[NDArray[np.float32]]:
    for start in (100, 104, 108):
        seeds = range(start, start + 4)
        yield np.stack([to_pixels(photo, SMALL) for photo in photos(*seeds)])


@pytest.fixture(scope="module")
def int8(folder: Path, float32: Path) -> Path:
    path = folder / "int8.onnx"
    quantise(float32, batches(), path)
    return path


def packaged(folder: Path, weights: Path, network: Path, precision: Precision) -> Package:
    return write_package(
        folder / "models",
        NETWORK,
        weights=weights,
        transform=SMALL,
        network=network,
        precision=precision,
        facts={},
    )


@pytest.fixture(scope="module", params=["float32", "int8"])
def package(
    request: pytest.FixtureRequest, folder: Path, weights: Path, float32: Path, int8: Path
) -> Package:
    precision = Precision(request.param)
    network = int8 if precision is Precision.INT8 else float32
    return packaged(folder, weights, network, precision)


@pytest.fixture(scope="module")
def encoder(folder: Path, package: Package) -> Encoder:
    encoder = open_encoder(EncoderLibrary("hog", None, folder / "models"), package.spec, 1)
    assert isinstance(encoder, OnnxEncoder)
    return encoder


def test_it_embeds_as_torch_does(encoder: Encoder, weights: Path, package: Package) -> None:
    plain = write_package(
        package.folder.parent, NETWORK, weights=weights, transform=SMALL, facts={}
    )
    reference = TorchEncoder(plain.spec, NETWORK, plain.weights, 1, SMALL)
    shown = photos(*range(6))
    vectors = encoder.embed(shown)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    expected = reference.embed(shown)
    cosines = np.sum(vectors * expected, axis=1)
    if package.spec.precision is Precision.FLOAT32:
        assert plain.spec == package.spec
        assert cosines.min() > 1 - 1e-5
    else:
        assert plain.spec != package.spec
        assert cosines.max() < 1 - 1e-5
        # An untrained network finds all photos alike: what tells them apart must survive.
        apart, kept = (unit_rows(rows - expected.mean(axis=0)) for rows in (expected, vectors))
        assert np.sum(apart * kept, axis=1).mean() > 0.7


def test_a_vector_does_not_depend_on_its_neighbours(encoder: Encoder) -> None:
    shown = photos(*range(BATCH + 3))
    together = encoder.embed(shown)
    alone = np.concatenate([encoder.embed([photo]) for photo in shown])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_threads_that_embed_at_the_same_time_share_its_threads(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    both = Barrier(2)
    open_session = onnx_encoder.open_network

    class Meeting:
        """A session in which two calls meet."""

        def __init__(self, session: Any) -> None:
            self._session = session

        def run(self, *given: Any) -> Any:
            with suppress(BrokenBarrierError):
                both.wait(10)
            return self._session.run(*given)

    def counted(network: Path, threads: int) -> Meeting:
        opened.append(threads)
        return Meeting(open_session(network, threads))

    monkeypatch.setattr(onnx_encoder, "open_network", counted)
    assert package.network
    assert package.network_sha256
    one = OnnxEncoder(package.spec, package.network, package.network_sha256, SMALL, threads=4)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(one.embed, [photos(1), photos(2)])
    assert sorted(opened) == [2, 4]
    both.abort()
    # Alone again, with all of them.
    np.testing.assert_allclose(one.embed(photos(1)), first, atol=1e-6)
    np.testing.assert_allclose(one.embed(photos(2)), second, atol=1e-6)
    assert sorted(opened) == [2, 4]


def test_no_photos_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.embed([]).shape == (0, NETWORK.dimension)


def test_another_file_in_the_networks_place_is_refused(package: Package, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"not what was packaged")
    assert package.network_sha256
    encoder = OnnxEncoder(package.spec, other, package.network_sha256, SMALL, 1)
    with pytest.raises(WeightsRefused, match="hash"):
        encoder.load()


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07" * 300])
def test_what_is_no_network_is_refused(package: Package, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    encoder = OnnxEncoder(package.spec, path, sha256(content).hexdigest(), SMALL, 1)
    with pytest.raises(WeightsRefused, match="not a network"):
        encoder.load()


def test_the_same_photos_give_the_same_network(int8: Path, float32: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    quantise(float32, batches(), again)
    assert again.read_bytes() == int8.read_bytes()


def test_other_photos_give_another_network(int8: Path, float32: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    quantise(float32, [batch / np.float32(2) for batch in batches()], other)
    assert other.read_bytes() != int8.read_bytes()


def test_nothing_of_this_machine_is_in_the_files(int8: Path, float32: Path) -> None:
    for path in (int8, float32):
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert str(Path.cwd()).encode() not in content


def test_all_but_the_sensitive_convolutions_are_int8(int8: Path) -> None:
    graph = onnx.load(int8).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 49
    in_float = [node for node in convolutions if node.input[1] in tensors]
    # The first, and the depthwise one after it.
    assert in_float == convolutions[:2]
    for node in convolutions[2:]:
        dequantise = made_by[node.input[1]]
        stored, scales = (tensors[name] for name in dequantise.input[:2])
        assert stored.dtype == np.int8
        is_depthwise = stored.shape[1] == 1
        assert (abs(stored.astype(int)).max() > 64) == is_depthwise
        assert scales.shape == (stored.shape[0],)


def test_resnet50_is_exported_faithfully(tmp_path: Path) -> None:
    """The other network, in both precisions; all else is the same code."""
    weights = write_weights(tmp_path / "weights.safetensors", architecture=RESNET50)
    transform = RESNET50.transform.of_size(64)
    float32, int8 = tmp_path / "float32.onnx", tmp_path / "int8.onnx"
    export_float32(RESNET50, weights, transform, float32)
    shown = photos(*range(8))
    pixels = np.stack([to_pixels(photo, transform) for photo in shown])
    quantise(float32, [pixels], int8)
    in_float = [node for node in onnx.load(int8).graph.node if node.op_type == "Conv"]
    assert len(in_float) == 53
    expected = TorchEncoder(
        network_spec(RESNET50, sha256_of(weights), transform), RESNET50, weights, 1, transform
    ).embed(shown)
    for network, least in ((float32, 1 - 1e-5), (int8, 0.98)):
        (vectors,) = open_network(network, 1).run([OUTPUT], {INPUT: pixels})
        assert np.sum(unit_rows(vectors) * expected, axis=1).min() > least
