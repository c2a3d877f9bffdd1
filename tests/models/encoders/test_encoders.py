import io
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance
from safetensors.torch import save_file
from torch import Tensor

from models.domain.durable_files import sha256_of
from models.domain.errors import SetupError, WeightsMissing, WeightsRefused
from models.encoders import specs
from models.encoders.encoder import Encoder, unit_rows
from models.encoders.networks.architectures import RESNET50, Pooling
from models.encoders.networks.torchvision_cpu import ResNet50_Weights, resnet50
from models.encoders.specs import hog_spec, network_spec
from models.encoders.torch_encoder import BATCH, TorchEncoder
from models.photo_decoding import decode, standardise
from tests.support.encoder import create_encoder, spec_of
from tests.support.networks import NETWORK, write_weights
from tests.support.paths import REPOSITORY

StateDict = dict[str, Tensor]

REAL_WEIGHTS = Path(
    os.environ.get("MARKETLENS_TEST_WEIGHTS")
    or REPOSITORY.parent / "shared/weights/resnet50-imagenet-eval.safetensors"
)


def mug(colour: str, wall: str, *, x: int = 150, y: int = 120, side: int = 110) -> Image.Image:
    """A mug before a wall; `x` and `y` are its middle, `side` its height."""
    photo = Image.new("RGB", (320, 240), wall)
    draw = ImageDraw.Draw(photo)
    half = side // 2
    draw.ellipse((x, y - half // 2, x + side, y + half // 2), outline=colour, width=side // 8)
    draw.rectangle((x - half, y - half, x + half, y + half), fill=colour)
    draw.ellipse((x - half // 2, y - half // 2, x, y), fill="white")
    return photo


def lamp(colour: str, wall: str) -> Image.Image:
    photo = Image.new("RGB", (320, 240), wall)
    draw = ImageDraw.Draw(photo)
    draw.polygon([(160, 20), (240, 100), (80, 100)], fill=colour)
    draw.rectangle((154, 100, 166, 200), fill="black")
    draw.ellipse((110, 195, 210, 220), fill="black")
    return photo


def photos() -> list[Image.Image]:
    return [
        mug("firebrick", "wheat"),
        mug("teal", "lightgrey"),
        lamp("gold", "lavender"),
        lamp("teal", "wheat"),
        mug("navy", "white").rotate(90, expand=True),
    ]


@pytest.fixture(scope="module", autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def untrained() -> StateDict:
    """A ResNet-50's state dict as training starts with it: right in everything but its use."""
    torch.manual_seed(0)
    return {name: value.half() for name, value in resnet50(weights=None).state_dict().items()}


@pytest.fixture(scope="module")
def outline(untrained: StateDict) -> StateDict:
    """The same names, shapes and types in a file of kilobytes: each tensor is one number."""
    return {
        name: value.flatten()[:1].clone().expand(value.shape) if value.dim() else value
        for name, value in untrained.items()
    }


@pytest.fixture(scope="module")
def weights(untrained: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    save_file(untrained, path)
    return path


@pytest.fixture(scope="module")
def weights_of(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The weights of each network."""
    lite = write_weights(tmp_path_factory.mktemp("weights") / "lite.safetensors")
    return {"resnet50": weights, NETWORK.name: lite}


@pytest.fixture(scope="module", params=["resnet50", NETWORK.name, "hog"])
def encoder(request: pytest.FixtureRequest, weights_of: dict[str, Path]) -> Encoder:
    encoder = create_encoder(request.param, weights_of.get(request.param), threads=1)
    encoder.load()
    return encoder


def test_vectors_have_the_promised_form(encoder: Encoder) -> None:
    vectors = encoder.embed(photos())
    assert vectors.shape == (len(photos()), encoder.spec.dimension)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_photos_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.embed([]).shape == (0, encoder.spec.dimension)


def test_the_same_photo_gives_the_same_vector(encoder: Encoder) -> None:
    np.testing.assert_array_equal(encoder.embed(photos()), encoder.embed(photos()))


def test_a_vector_does_not_depend_on_its_neighbours(encoder: Encoder) -> None:
    many = (photos() * BATCH)[: BATCH + 3]
    together = encoder.embed(many)
    for index in (0, BATCH - 1, BATCH):
        (alone,) = encoder.embed([many[index]])
        assert together[index] @ alone > 0.9999


def test_different_photos_give_different_vectors(encoder: Encoder) -> None:
    similarities = encoder.embed(photos()) @ encoder.embed(photos()).T
    np.fill_diagonal(similarities, 0)
    assert similarities.max() < 0.9999


@pytest.mark.parametrize("size", [(1, 1), (512, 1), (1, 512), (8, 8)])
@pytest.mark.parametrize("colour", ["black", "white", "grey", "red"])
def test_a_blank_photo_is_no_trouble(encoder: Encoder, size: tuple[int, int], colour: str) -> None:
    vectors = encoder.embed([Image.new("RGB", size, colour)])
    assert np.isfinite(vectors).all()
    length = np.linalg.norm(vectors)
    assert length == 0 or math.isclose(length, 1, abs_tol=1e-6)


@pytest.mark.parametrize("size", [(300, 1), (1, 300), (2, 2)])
def test_a_sliver_is_no_trouble(encoder: Encoder, size: tuple[int, int]) -> None:
    vectors = encoder.embed([mug("firebrick", "wheat").resize(size)])
    assert np.linalg.norm(vectors) == pytest.approx(1, abs=1e-6)


def test_rows_of_zeros_stay_zero() -> None:
    rows = np.array([[3, 4], [0, 0]], np.float32)
    units = np.array([[0.6, 0.8], [0, 0]], np.float32)
    np.testing.assert_allclose(unit_rows(rows), units, rtol=1e-6)


def test_threads_may_load_and_embed_at_once(encoder: Encoder, weights_of: dict[str, Path]) -> None:
    name = encoder.spec.name
    fresh = create_encoder(name, weights_of.get(name), threads=1)
    expected = encoder.embed(photos())

    def load_and_embed(_: int) -> NDArray[np.float32]:
        fresh.load()
        return fresh.embed(photos())

    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(load_and_embed, range(4)):
            np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_the_spec_is_known_before_the_encoder_is_made(
    encoder: Encoder, weights_of: dict[str, Path]
) -> None:
    name = encoder.spec.name
    assert encoder.spec == spec_of(name, weights_of.get(name))


def test_every_number_of_a_networks_transform_is_in_the_fingerprint() -> None:
    original = RESNET50.transform
    seen = {network_spec(RESNET50, "0" * 64, original).fingerprint}
    for field, value in asdict(original).items():
        other = value + "?" if isinstance(value, str) else value * 2
        changed: dict[str, Any] = {field: other}
        transform = replace(original, **changed)
        seen.add(network_spec(RESNET50, "0" * 64, transform).fingerprint)
    assert len(seen) == 1 + len(asdict(original))


def test_every_number_of_hogs_transform_is_in_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = specs.HOG_TRANSFORM
    seen = {hog_spec().fingerprint}
    for field, value in asdict(original).items():
        monkeypatch.setattr(specs, "HOG_TRANSFORM", replace(original, **{field: value * 2}))
        seen.add(hog_spec().fingerprint)
    assert len(seen) == 1 + len(asdict(original))


def test_encoders_of_earlier_releases_are_the_same_encoders() -> None:
    """Their fingerprints are in databases: none may ever change."""
    assert hog_spec().label == "hog-d718c404"
    mean = RESNET50.pooled_by(Pooling.MEAN)
    assert network_spec(mean, "0" * 64).label == "resnet50-ae60305e"
    assert network_spec(mean, "0" * 64, None, "1" * 64).label == "resnet50-int8-9b242dd0"
    assert network_spec(RESNET50, "0" * 64).label == "resnet50-c3f1e8e9"


def test_other_weights_have_another_fingerprint(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(weights.read_bytes()[:-1] + b"?")
    one, two = spec_of("resnet50", weights), spec_of("resnet50", other)
    assert one.fingerprint != two.fingerprint
    assert one.dimension == two.dimension == 2048


def test_hog_takes_no_notice_of_weights(weights: Path) -> None:
    assert spec_of("hog", weights) == spec_of("hog", None)


@pytest.mark.parametrize("given", [None, Path("absent.safetensors")])
def test_resnet50_needs_weights(given: Path | None) -> None:
    with pytest.raises(WeightsMissing):
        create_encoder("resnet50", given, threads=1)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(SetupError, match="'vgg'"):
        create_encoder("vgg", None, threads=1)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, in the repository's root."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "import models.photo_decoding, models.encoders.weights",
            "numpy torch torchvision skimage",
        ),
        ("import models.encoders.specs", "numpy torch torchvision skimage"),
        ("import models.encoders.library", "torch torchvision skimage"),
        (
            "from tests.support.encoder import create_encoder; create_encoder('hog', None, 1)",
            "torch torchvision",
        ),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str, absent: str) -> None:
    done = python(f"{code}\nimport sys\nprint({set(absent.split())} & set(sys.modules))")
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_torchvision_can_be_imported_whatever_torch_it_was_built_for() -> None:
    done = python(
        "from models.encoders.networks.torchvision_cpu import ResNet50_Weights, resnet50\n"
        "import sys, torch, torchvision\n"
        "photos = ResNet50_Weights.IMAGENET1K_V2.transforms()(torch.zeros(2, 3, 300, 300))\n"
        "with torch.device('meta'): network = resnet50(weights=None)\n"
        "print(network(photos.to('meta')).shape)\n"
        "modules = [name.rpartition('.') for name in sys.modules if name[:12] == 'torchvision.']\n"
        "print([name for at, _, name in modules if not hasattr(sys.modules[at], name)])\n",
        PYTHONWARNINGS="error",
    )
    # The second line: no module is left over from a first attempt that failed.
    assert (done.stdout, done.stderr) == ("torch.Size([2, 1000])\n[]\n", "")


def test_other_failures_of_torchvision_are_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "import sys\n"
        "sys.attempts = getattr(sys, 'attempts', 0) + 1\n"
        "raise RuntimeError(f'quite another, at attempt {sys.attempts}')\n"
    )
    done = python("import models.encoders.networks.torchvision_cpu", PYTHONPATH=str(tmp_path))
    assert done.stderr.strip().endswith("RuntimeError: quite another, at attempt 1")


# ResNet-50


def test_the_transform_is_torchvisions_own() -> None:
    preset = ResNet50_Weights.IMAGENET1K_V2.transforms()
    assert asdict(RESNET50.transform) == {
        "resize": preset.resize_size[0],
        "crop": preset.crop_size[0],
        "interpolation": preset.interpolation.value,
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
    }


def test_the_vector_is_the_networks_last_hidden_layer(weights: Path, untrained: StateDict) -> None:
    with torch.device("meta"):
        network = resnet50(weights=None).eval()
    network.load_state_dict({name: value.float() for name, value in untrained.items()}, assign=True)
    pooled: list[Tensor] = []
    network.avgpool.register_forward_hook(lambda *call: pooled.append(call[2].flatten(1)))
    transform = ResNet50_Weights.IMAGENET1K_V2.transforms()
    with torch.inference_mode():
        network(torch.stack([transform(photo) for photo in photos()]))
    expected = torch.nn.functional.normalize(pooled[0]).numpy()
    mean = RESNET50.pooled_by(Pooling.MEAN)
    encoder = TorchEncoder(network_spec(mean, sha256_of(weights)), mean, weights, threads=1)
    np.testing.assert_allclose(encoder.embed(photos()), expected, atol=1e-4)


def test_constructing_reads_no_file_and_loading_sets_the_threads(weights: Path) -> None:
    spec = spec_of("resnet50", weights)
    TorchEncoder(spec, RESNET50, Path("absent"), threads=1)
    for threads in (2, 1):
        TorchEncoder(spec, RESNET50, weights, threads).load()
        assert torch.get_num_threads() == threads


def test_loading_twice_reads_once(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    encoder = create_encoder("resnet50", copy, threads=1)
    encoder.load()
    copy.unlink()
    encoder.load()


def test_weights_that_change_after_the_spec_was_made_are_refused(
    weights: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    encoder = create_encoder("resnet50", copy, threads=1)
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(WeightsRefused, match="changed"):
        encoder.load()


def without(prefix: str = "", suffix: str = "") -> Callable[[StateDict], StateDict]:
    return lambda state: {
        name: value
        for name, value in state.items()
        if not (name.startswith(prefix) and name.endswith(suffix))
    }


ACCEPTED: dict[str, Callable[[StateDict], StateDict]] = {
    "as it is": lambda state: state,
    "single precision": lambda state: {name: value.float() for name, value in state.items()},
    "no last layer": without("fc."),
    "another last layer": lambda state: state | {"fc.weight": torch.zeros(13, 2048)},
    "no batch counts": without(suffix="num_batches_tracked"),
}


@pytest.fixture(scope="module")
def expected(weights: Path) -> NDArray[np.float32]:
    return create_encoder("resnet50", weights, threads=1).embed(photos()[:1])


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_every_usual_form_of_a_state_dict_gives_the_same_vectors(
    change: Callable[[StateDict], StateDict],
    expected: NDArray[np.float32],
    untrained: StateDict,
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(change(untrained), path)
    vectors = create_encoder("resnet50", path, threads=1).embed(photos()[:1])
    np.testing.assert_array_equal(vectors, expected)


def with_value(name: str, value: float) -> Callable[[StateDict], StateDict]:
    def change(state: StateDict) -> StateDict:
        changed = state[name].contiguous()
        changed.view(-1)[0] = value
        return state | {name: changed}

    return change


FOREIGN: dict[str, tuple[Callable[[StateDict], object], str]] = {
    "a missing tensor": (without("layer3.0.conv1"), r"lack layer3\.0\.conv1\.weight\."),
    "missing tensors": (without("layer4."), r"lack layer4\.\S+ and \d+ more\."),
    "an unknown tensor": (
        lambda state: state | {"layer5.weight": torch.zeros(1)},
        r"unknown layer5\.weight",
    ),
    "a prefix before every name": (
        lambda state: {f"module.{name}": value for name, value in state.items()},
        "lack",
    ),
    "a wrong shape": (
        lambda state: state | {"conv1.weight": torch.zeros(64, 1, 7, 7)},
        r"wrong shape for conv1\.weight",
    ),
    "whole numbers": (
        lambda state: state | {"bn1.bias": torch.zeros(64, dtype=torch.int32)},
        r"floating-point numbers in bn1\.bias",
    ),
    "not a number": (with_value("bn1.bias", math.nan), r"undefined values in bn1\.bias"),
    "infinity": (with_value("conv1.weight", math.inf), r"infinite .* in conv1\.weight"),
    "no tensors at all": (lambda _: {}, "lack"),
    "a checkpoint around the state dict": (lambda state: {"state_dict": state}, "named tensors"),
    "a list": (lambda state: list(state.values()), "named tensors"),
    "tensors without numbers": (
        lambda state: {name: value.to("meta") for name, value in state.items()},
        "named tensors",
    ),
}


def test_an_outline_of_the_weights_would_be_accepted(outline: StateDict, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(outline, path)
    create_encoder("resnet50", path, threads=1).load()


@pytest.mark.parametrize(("change", "reason"), FOREIGN.values(), ids=FOREIGN.keys())
def test_weights_of_anything_else_are_refused(
    change: Callable[[StateDict], object], reason: str, outline: StateDict, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(change(outline), path)
    refused(path, reason)


class Malice:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.victim),)


def test_code_in_weights_is_never_run(outline: StateDict, tmp_path: Path) -> None:
    path, victim = tmp_path / "weights.pth", tmp_path / "victim"
    torch.save(outline | {"conv1.weight": Malice(victim)}, path)
    refused(path, "more than tensors")
    assert not victim.exists()


@pytest.mark.parametrize("kind", ["safetensors", "zip", "pickle"])
def test_truncated_weights_are_refused(kind: str, untrained: StateDict, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    if kind == "safetensors":
        save_file(untrained, path)
    else:
        torch.save(untrained, path, _use_new_zipfile_serialization=kind == "zip")
    for kept in (path.stat().st_size - 1, 1_000_000, 1_000, 5, 0):
        os.truncate(path, kept)
        refused(path, "damaged")


@pytest.mark.parametrize("content", [b"these are no weights\n", b"\0" * 8 + b"{", bytes(5_000)])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    refused(path, "damaged")


def refused(path: Path, reason: str) -> None:
    with pytest.raises(WeightsRefused, match=reason) as caught:
        create_encoder("resnet50", path, threads=1).load()
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


# hog


def similarity(one: Image.Image, other: Image.Image) -> float:
    vectors = create_encoder("hog", None, threads=1).embed([one, other])
    return float(vectors[0] @ vectors[1])


def test_hog_takes_no_notice_of_the_wall() -> None:
    mine = mug("firebrick", "wheat")
    for wall in ("midnightblue", "lightgreen", "lightsteelblue"):
        assert similarity(mine, mug("firebrick", wall)) > 0.98


def test_hog_finds_the_item_wherever_it_stands() -> None:
    mine = mug("firebrick", "wheat")
    elsewhere = mug("firebrick", "lightsteelblue", x=190, y=135, side=80)
    assert similarity(mine, elsewhere) > 0.9
    assert similarity(mine, mug("teal", "wheat")) < 0.8
    assert similarity(mine, lamp("firebrick", "wheat")) < 0.5


def test_hog_prefers_the_colour_among_equal_shapes_and_the_shape_among_equal_colours() -> None:
    mine = mug("firebrick", "wheat")
    assert similarity(mine, mug("brown", "wheat")) > similarity(mine, mug("navy", "wheat"))
    assert similarity(mine, mug("navy", "wheat")) > similarity(mine, lamp("navy", "wheat"))


# with real weights


@pytest.fixture(scope="module")
def trained() -> Encoder:
    if not REAL_WEIGHTS.is_file():
        pytest.skip("needs real ResNet-50 weights: set MARKETLENS_TEST_WEIGHTS")
    return create_encoder("resnet50", REAL_WEIGHTS, threads=1)


def test_a_trained_network_knows_a_thing_again(trained: Encoder) -> None:
    mine = mug("firebrick", "wheat")
    views = [
        mug("firebrick", "lightsteelblue", x=180, side=90),
        ImageEnhance.Brightness(mine.rotate(8, fillcolor="wheat")).enhance(0.8),
    ]
    query, *candidates = trained.embed([mine, *views, lamp("firebrick", "wheat")])
    *similar, other = (float(query @ candidate) for candidate in candidates)
    assert min(similar) > other + 0.1


@pytest.mark.parametrize("size", [(3200, 2400), (4000, 3000), (4001, 2997)])
def test_coarse_decoding_hardly_moves_the_vector(trained: Encoder, size: tuple[int, int]) -> None:
    large = mug("firebrick", "wheat").resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=95)
    full, standard = trained.embed(
        [decode(buffer.getvalue()), decode(standardise(buffer.getvalue()).data)]
    )
    assert full @ standard > 0.99
