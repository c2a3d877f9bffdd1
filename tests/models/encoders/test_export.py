"""An export is compared before it is kept, and refused when it is worse."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.domain.durable_files import sha256_of
from models.domain.errors import ExportTooSlow, FidelityTooLow, InvalidInput
from models.domain.types import Precision
from models.encoders import export
from models.encoders.export import ExportOptions, export_encoder
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import Architecture, PhotoTransform
from models.encoders.package import read_package, write_package
from models.evaluation.fidelity import Change, Fidelity, Quality
from models.evaluation.intervals import Estimate
from models.head import CategoryHead, find_head, head_path
from models.labels import LabelledPhotos
from tests.support.networks import NETWORK, SMALL
from tests.support.pictures import jpeg

PHOTOS = 40
LARGE = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """Models, of which one sees small photos and has a head."""
    folder = tmp_path_factory.mktemp("models")
    small = write_package(
        folder,
        NETWORK,
        weights=weights,
        transform=SMALL,
        facts={"training": {"epochs": 3}},
    )
    weight, bias = np.ones((2, NETWORK.dimension), np.float32), np.zeros(2, np.float32)
    head = CategoryHead(("Lamps", "Mugs"), weight, bias, 1.5, small.spec.fingerprint)
    head.save(head_path(folder, small.spec))
    return folder


@pytest.fixture(scope="module")
def library(models_dir: Path) -> EncoderLibrary:
    return EncoderLibrary("hog", None, models_dir)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, weights: Path, float32: Path) -> Path:
    """The network that an export begins with, made once: it is the same file each time."""

    def copy(
        architecture: Architecture, given: Path, transform: PhotoTransform, target: Path
    ) -> None:
        expected = (NETWORK, sha256_of(weights), SMALL)
        assert (architecture, sha256_of(given), transform) == expected
        shutil.copyfile(float32, target)

    monkeypatch.setattr(export, "export_float32", copy)
    return float32


def photos(count: int = PHOTOS, categories: int = 2) -> LabelledPhotos:
    rows = range(count)
    return LabelledPhotos(
        tuple(str(row) for row in rows),
        tuple(str(row // 2) for row in rows),
        tuple(str(row // 2 % categories) for row in rows),
        lambda name: jpeg(int(name), (90, 90)),
    )


def reference(library: EncoderLibrary) -> str:
    return next(spec.label for spec in library.specs() if "int8" not in spec.label)


def test_an_int8_export_is_a_package_with_its_figures_and_the_head(
    library: EncoderLibrary, models_dir: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    made = export_encoder(
        library,
        reference(library),
        models_dir,
        Precision.INT8,
        photos(),
        threads=1,
        on_progress=lambda *progress: seen.append(progress),
    )
    package = read_package(made.package.folder)
    assert package.spec.precision is Precision.INT8
    assert package.transform.crop == 64
    assert made.fidelity.photos == PHOTOS // 2
    assert 0.98 < made.fidelity.cosine_mean < 1
    assert made.fidelity.cosine_min <= made.fidelity.cosine_mean
    assert made.fidelity.reference
    assert made.speed > 0
    assert package.facts["fidelity"] == made.fidelity.facts()
    calibration = package.facts["calibration"]
    assert isinstance(calibration, dict)
    assert calibration["photos"] == PHOTOS // 2
    assert package.facts["training"] == {"epochs": 3}
    assert ("calibrated", PHOTOS // 2, PHOTOS // 2) in seen
    assert ("compared", PHOTOS // 2, PHOTOS // 2) in seen
    head = find_head(models_dir, package.spec)
    assert head
    assert head.categories == ("Lamps", "Mugs")
    assert not list(models_dir.glob(".*"))


@pytest.mark.usefixtures("exported")
def test_a_float32_export_calibrates_nothing_and_needs_no_categories(
    library: EncoderLibrary, models_dir: Path
) -> None:
    label, unlabelled = reference(library), photos(categories=1)
    made = export_encoder(library, label, models_dir, Precision.FLOAT32, unlabelled, threads=1)
    assert made.package.spec.label == label
    assert made.fidelity.photos == PHOTOS
    assert made.fidelity.cosine_min > 1 - 1e-5
    assert made.fidelity.reference is None
    assert "calibration" not in made.package.facts


def test_a_float32_network_must_be_the_same_encoder(
    library: EncoderLibrary, models_dir: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label, before = reference(library), sorted(models_dir.rglob("*"))

    def export_badly(
        _network: Architecture, _weights: Path, _transform: PhotoTransform, target: Path
    ) -> None:
        network = onnx.load(exported)
        largest = max(network.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        values = onnx.numpy_helper.to_array(largest)
        largest.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(0.8), largest.name))
        onnx.save(network, target)

    monkeypatch.setattr(export, "export_float32", export_badly)
    with pytest.raises(FidelityTooLow, match=r"cosine of 0\.9\d+ to torch's for some photo"):
        export_encoder(library, label, models_dir, Precision.FLOAT32, photos(), threads=1)
    assert sorted(models_dir.rglob("*")) == before


@pytest.mark.parametrize("listings", [1, 2])
def test_photos_of_one_listing_or_two_compare_nothing(
    library: EncoderLibrary, models_dir: Path, listings: int
) -> None:
    one_sided = photos()
    ids = tuple(str(min(row // 38, listings - 1)) for row in range(PHOTOS))
    with pytest.raises(InvalidInput, match="of listings that did not calibrate"):
        export_encoder(
            library,
            reference(library),
            models_dir,
            Precision.INT8,
            replace(one_sided, listings=ids),
            options=ExportOptions(calibration_photos=1),
            threads=1,
        )


def test_no_photo_both_calibrates_and_compares() -> None:
    for precision, expected in ((Precision.INT8, 11), (Precision.FLOAT32, 0)):
        calibration, compared = export._parts(photos(), precision, 11, seed=3)
        assert len(calibration) == expected
        assert len(compared) >= PHOTOS - expected - 1
        assert not set(calibration.listings) & set(compared.listings)


def test_too_few_photos_are_said_to_be(library: EncoderLibrary, models_dir: Path) -> None:
    with pytest.raises(InvalidInput, match=r"at least 32 photos .* 31"):
        export_encoder(
            library, reference(library), models_dir, Precision.INT8, photos(31), threads=1
        )


@pytest.mark.usefixtures("exported")
def test_a_network_that_differs_too_much_is_refused(
    library: EncoderLibrary, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(models_dir.rglob("*"))

    def quantise_badly(float32: Path, batches: Iterator[object], target: Path) -> None:
        assert len(list(batches)) > 0
        network = onnx.load(float32)
        for tensor in network.graph.initializer:
            if len(tensor.raw_data) > LARGE:
                tensor.raw_data = bytes(len(tensor.raw_data))
        onnx.save(network, target)

    monkeypatch.setattr(export, "quantise", quantise_badly)
    with pytest.raises(FidelityTooLow, match=r"mean cosine of 0\.\d+ .* nothing was written"):
        export_encoder(library, reference(library), models_dir, Precision.INT8, photos(), threads=1)
    assert sorted(models_dir.rglob("*")) == before


SAME = Estimate(0.0, -0.01, 0.01)


@pytest.mark.parametrize(
    ("precision", "mean", "refused"),
    [
        (SAME, SAME, None),
        (Estimate(-0.02, -0.05, 0.01), SAME, None),  # chance may be all of it
        (Estimate(-0.004, -0.006, -0.002), SAME, None),  # sure, and little
        (Estimate(-0.02, -0.03, -0.01), SAME, "precision@1 is 0.020 lower"),
        (SAME, Estimate(-0.006, -0.008, -0.004), "mAP is 0.006 lower"),
    ],
)
def test_what_finds_less_beyond_chance_is_not_better(
    precision: Estimate, mean: Estimate, refused: str | None
) -> None:
    alike = Quality(0.7, 0.4)
    close = Fidelity(100, 0.99, 0.98, alike, alike, Change(precision, mean))
    faster = export._Comparison(close, source_speed=10, speed=20)
    better = ExportOptions(must_be_better=True)
    if refused is None:
        export._refuse_worse(faster, Precision.INT8, better)
        return
    with pytest.raises(FidelityTooLow, match=re.escape(refused)):
        export._refuse_worse(faster, Precision.INT8, better)
    export._refuse_worse(faster, Precision.INT8, ExportOptions())


def test_what_is_slower_is_not_better() -> None:
    alike = Quality(0.7, 0.4)
    close = Fidelity(100, 0.99, 0.98, alike, alike, Change(SAME, SAME))
    slower = export._Comparison(close, source_speed=20, speed=19)
    with pytest.raises(ExportTooSlow, match=r"19\.0 photos/s, its source 20\.0"):
        export._refuse_worse(slower, Precision.INT8, ExportOptions(must_be_better=True))
    export._refuse_worse(slower, Precision.INT8, ExportOptions())
