"""Encoders are found by what identifies them, and opened with their fastest runtime."""

from pathlib import Path

import pytest

from models.domain.errors import NotFound, WeightsMissing
from models.domain.types import EncoderSpec, Precision
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import (
    EFFICIENTNET_LITE,
    RESNET50,
    Architecture,
    PhotoTransform,
    Pooling,
)
from models.encoders.package import Package, write_package
from models.encoders.runtimes import open_encoder
from models.encoders.specs import network_spec
from tests.support.encoder import spec_of

HOG = spec_of("hog", None)
LITE = network_spec(EFFICIENTNET_LITE, EFFICIENTNET_LITE.weights.sha256)

# Files that nobody loads need not be weights: what a file is of is told by `test_recognition`.
pytestmark = pytest.mark.usefixtures("any_file_is_resnet50")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "given.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def library(models_dir: Path, weights: Path) -> EncoderLibrary:
    return EncoderLibrary("resnet50", weights, models_dir)


def export(
    models_dir: Path,
    weights: Path,
    precision: Precision,
    transform: PhotoTransform = RESNET50.transform,
    content: bytes = b"network",
    architecture: Architecture = RESNET50,
) -> Package:
    network = weights.with_name(f"{precision}-{content.hex()}.onnx")
    network.write_bytes(content)
    return write_package(
        models_dir,
        architecture,
        weights=weights,
        transform=transform,
        network=network,
        precision=precision,
        facts={"made": precision},
    )


def test_weights_are_the_configured_encoder_until_they_are_exported(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    plain = spec_of("resnet50", weights)
    assert library.configured() == plain
    export(models_dir, weights, Precision.FLOAT32)
    assert library.configured() == plain
    export(models_dir, weights, Precision.INT8, RESNET50.transform.of_size(96))
    assert library.configured() == plain
    int8 = export(models_dir, weights, Precision.INT8)
    assert library.configured() == int8.spec
    latest = export(models_dir, weights, Precision.INT8, content=b"calibrated anew")
    assert library.configured() == latest.spec


def test_an_export_with_another_pooling_is_of_its_own_network(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    mean = RESNET50.pooled_by(Pooling.MEAN)
    before = write_package(models_dir, mean, weights=weights, facts={}).spec
    int8 = export(models_dir, weights, Precision.INT8, architecture=mean).spec
    assert library.int8_of(before) == int8
    assert library.configured() == spec_of("resnet50", weights)
    assert library.int8_of(library.configured()) is None
    assert library.files_of(before).architecture == mean


def test_exports_of_other_weights_are_not_configured(
    library: EncoderLibrary, models_dir: Path, weights: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other weights")
    export(models_dir, other, Precision.INT8)
    assert library.configured() == spec_of("resnet50", weights)


def test_hog_is_configured_by_its_name(models_dir: Path) -> None:
    assert EncoderLibrary("hog", None, models_dir).configured() == HOG


def test_all_that_is_here_is_listed(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    int8 = export(models_dir, weights, Precision.INT8)
    assert set(library.specs()) == {spec_of("resnet50", weights), int8.spec, LITE, HOG}


def test_a_damaged_package_hides_no_other(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    int8 = export(models_dir, weights, Precision.INT8)
    damaged = export(models_dir, weights, Precision.INT8, content=b"x")
    (damaged.folder / "manifest.json").write_text("{}")
    assert library.configured() == int8.spec


def test_weights_serve_where_their_package_is_damaged(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    package = write_package(models_dir, RESNET50, weights=weights, facts={})
    (package.folder / "manifest.json").write_text("{}")
    assert open_encoder(library, package.spec, 1).runtime == "torch, float32"
    assert library.weights_of(package.spec) == (weights, None)


def test_downloaded_weights_are_known_beside_given_ones(
    library: EncoderLibrary, models_dir: Path
) -> None:
    models_dir.mkdir()
    downloaded = models_dir / RESNET50.weights.filename
    downloaded.write_bytes(b"downloaded")
    spec = spec_of("resnet50", downloaded)
    assert spec in library.specs()
    assert open_encoder(library, spec, 1).spec == spec


def test_a_file_of_weights_is_held_by_a_library_of_its_own(
    library: EncoderLibrary, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    holding = library.including(str(other))
    spec = holding.find(str(other))
    assert spec == spec_of("resnet50", other)
    assert open_encoder(holding, spec, 1).spec == spec
    assert library.including("resnet50") is library


def names(spec: EncoderSpec) -> list[str]:
    return [spec.label, spec.fingerprint, spec.fingerprint[:6], spec.label[:-3]]


def test_an_encoder_is_found_by_each_of_its_names(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    int8 = export(models_dir, weights, Precision.INT8).spec
    for spec in (int8, spec_of("resnet50", weights), HOG):
        assert [library.find(name) for name in names(spec)] == [spec] * 4
    assert library.find("hog") == HOG
    assert library.find("resnet50") == library.configured() == int8
    assert library.find(str(weights)) == spec_of("resnet50", weights)


@pytest.mark.parametrize("reference", ["", "resnet", "resnet51", "resnet50-00000000", "x/y"])
def test_what_is_not_found_or_not_unique_is_an_error_with_the_choice(
    library: EncoderLibrary, weights: Path, models_dir: Path, reference: str
) -> None:
    export(models_dir, weights, Precision.INT8)
    with pytest.raises(NotFound, match=r"there are .*resnet50-int8-"):
        library.find(reference)


def test_the_exported_runtime_is_preferred(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    plain = spec_of("resnet50", weights)
    assert open_encoder(library, plain, 1).runtime == "torch, float32"
    export(models_dir, weights, Precision.FLOAT32)
    assert open_encoder(library, plain, 1).runtime == "ONNX Runtime, float32"
    int8 = export(models_dir, weights, Precision.INT8).spec
    assert open_encoder(library, int8, 1).runtime == "ONNX Runtime, int8"
    assert open_encoder(library, HOG, 1).runtime == "scikit-image"


def test_an_opened_encoder_is_the_one_that_was_asked_for(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    small = write_package(
        models_dir,
        RESNET50,
        weights=weights,
        transform=RESNET50.transform.of_size(96),
        facts={"made": "small"},
    )
    for spec in (small.spec, spec_of("resnet50", weights), HOG):
        assert open_encoder(library, spec, 1).spec == spec
    assert library.facts(small.spec) == {"made": "small"}
    assert library.facts(HOG) == {}


def test_an_encoder_whose_files_are_elsewhere_is_missing(
    library: EncoderLibrary, tmp_path: Path, weights: Path
) -> None:
    int8 = export(tmp_path / "another machine", weights, Precision.INT8).spec
    with pytest.raises(WeightsMissing, match=int8.label):
        open_encoder(library, int8, 1)
    with pytest.raises(WeightsMissing, match="no weights"):
        library.weights_of(HOG)


def test_an_export_knows_the_weights_that_it_was_made_of(
    library: EncoderLibrary, models_dir: Path, weights: Path
) -> None:
    int8 = export(models_dir, weights, Precision.INT8)
    found, package = library.weights_of(int8.spec)
    assert found.read_bytes() == b"weights"
    assert package == int8
    assert library.weights_of(spec_of("resnet50", weights))[0] == weights
