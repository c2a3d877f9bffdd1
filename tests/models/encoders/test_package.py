"""A model's folder is what its manifest says, or it is refused."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.domain.errors import WeightsMissing, WeightsRefused
from models.domain.types import Precision
from models.encoders.networks.architectures import RESNET50
from models.encoders.package import Package, read_package, verify_file, write_package
from tests.support.encoder import spec_of

INT8 = Precision.INT8


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "given.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "made.onnx"
    path.write_bytes(b"network")
    return path


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


def make(models_dir: Path, weights: Path, **options: Any) -> Package:
    return write_package(
        models_dir,
        RESNET50,
        weights=weights,
        **{"transform": RESNET50.transform, "facts": {}, **options},
    )


def test_a_package_identifies_the_encoder_that_its_weights_do(
    models_dir: Path, weights: Path
) -> None:
    package = make(models_dir, weights, facts={"training": {"epochs": 3}})
    assert package.spec == spec_of("resnet50", weights)
    assert package.folder == models_dir / package.spec.label
    assert package.weights.read_bytes() == b"weights"
    assert package.network is None
    assert package.facts == {"training": {"epochs": 3}}
    assert read_package(package.folder) == package


def test_a_float32_network_is_the_same_encoder(
    models_dir: Path, weights: Path, network: Path
) -> None:
    plain = make(models_dir, weights)
    exported = make(models_dir, weights, network=network)
    assert exported.spec == plain.spec
    assert exported.network
    assert exported.network.read_bytes() == b"network"


def test_an_int8_network_is_another_encoder(models_dir: Path, weights: Path, network: Path) -> None:
    plain = make(models_dir, weights).spec
    int8 = make(models_dir, weights, network=network, precision=INT8).spec
    network.unlink()
    network.write_bytes(b"calibrated with other photos")
    other = make(models_dir, weights, network=network, precision=INT8).spec
    assert len({plain.fingerprint, int8.fingerprint, other.fingerprint}) == 3
    assert int8.precision is INT8
    assert int8.label == f"resnet50-int8-{int8.fingerprint[:8]}"


def test_another_transform_is_another_encoder(models_dir: Path, weights: Path) -> None:
    plain = make(models_dir, weights)
    small = make(models_dir, weights, transform=RESNET50.transform.of_size(128))
    assert small.spec != plain.spec
    assert read_package(small.folder).transform.crop == 128


def test_a_package_written_again_keeps_its_head_and_network(
    models_dir: Path, weights: Path, network: Path
) -> None:
    folder = make(models_dir, weights, network=network).folder
    (folder / "head.safetensors").write_bytes(b"head")
    again = make(models_dir, weights, facts={"new": True})
    assert again.facts == {"new": True}
    assert again.network
    assert again.network.read_bytes() == b"network"
    assert (folder / "head.safetensors").read_bytes() == b"head"


def test_nothing_is_left_of_a_package_that_could_not_be_written(
    models_dir: Path, weights: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    # The last step before the folder gets its name.
    monkeypatch.setattr("models.encoders.package.sync_folder", fail)
    with pytest.raises(OSError, match="disk full"):
        make(models_dir, weights, network=network)
    assert list(models_dir.iterdir()) == []


def test_weights_that_are_written_over_stay_as_they_were(models_dir: Path, weights: Path) -> None:
    package = make(models_dir, weights)
    weights.write_bytes(b"others")
    assert verify_file(package.weights, package.weights_sha256).read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["best.pth (1)", ".hidden", "weights", "x" * 200])
def test_any_name_of_weights_will_do(models_dir: Path, weights: Path, name: str) -> None:
    named = weights.rename(weights.with_name(name))
    assert make(models_dir, named).weights.read_bytes() == b"weights"


def test_a_new_network_takes_the_place_of_the_old_one(
    models_dir: Path, weights: Path, network: Path
) -> None:
    before = make(models_dir, weights, network=network)
    network.write_bytes(b"exported anew")
    after = make(models_dir, weights, network=network)
    assert after.network
    assert after.network.read_bytes() == b"exported anew"
    assert before.network != after.network
    assert len(list(after.folder.glob("network-*"))) == 1


def test_killed_before_the_manifest_the_package_is_as_before(
    models_dir: Path, weights: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(models_dir, weights, network=network)
    network.write_bytes(b"exported anew")
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == "manifest.json":
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            make(models_dir, weights, network=network)
    package = read_package(before.folder)
    assert package == before
    assert package.network
    assert package.network_sha256
    assert verify_file(package.network, package.network_sha256).read_bytes() == b"network"


def test_a_damaged_package_can_be_written_again(models_dir: Path, weights: Path) -> None:
    package = make(models_dir, weights)
    (package.folder / "manifest.json").write_text("{")
    assert make(models_dir, weights) == package


def test_what_a_killed_process_left_long_ago_is_removed(models_dir: Path, weights: Path) -> None:
    old, young = models_dir / ".export-old", models_dir / ".resnet50-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "network.onnx").write_bytes(b"half")
    long_ago = time.time() - 2 * 86_400
    os.utime(old, (long_ago, long_ago))
    make(models_dir, weights)
    assert (old.exists(), young.exists()) == (False, True)


def test_files_must_be_there(models_dir: Path, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="is not a file"):
        make(models_dir, tmp_path / "absent")
    with pytest.raises(WeightsMissing, match="exported network"):
        make(models_dir, weights, precision=INT8)
    with pytest.raises(WeightsMissing, match="no model"):
        read_package(models_dir / "resnet50-00000000")


def test_a_file_that_was_changed_is_refused(models_dir: Path, weights: Path, network: Path) -> None:
    package = make(models_dir, weights, network=network)
    assert package.network
    assert package.network_sha256
    assert verify_file(package.network, package.network_sha256) == package.network
    package.network.write_bytes(b"netwOrk")
    with pytest.raises(WeightsRefused, match="hash"):
        verify_file(package.network, package.network_sha256)
    package.network.unlink()
    with pytest.raises(WeightsMissing, match="is not there"):
        verify_file(package.network, package.network_sha256)


def changed(*path: str, to: object) -> Callable[[Any], None]:
    def change(manifest: Any) -> None:
        *parents, last = path
        for parent in parents:
            manifest = manifest[parent]
        manifest[last] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("weights", "sha256", to="0" * 64),
        changed("transform", "crop", to=200),
        changed("precision", to="int8"),
        changed("dimension", to=512),
        changed("fingerprint", to="0" * 64),
        changed("weights", "name", to="../../elsewhere"),
        changed("weights", "name", to="/etc/passwd"),
        changed("weights", to=None),
        changed("transform", "crop", to=233),
        changed("transform", "std", to=[0, 1, 1]),
        changed("transform", "interpolation", to="nearest"),
        changed("transform", "zoom", to=2),
        changed("format", to=2),
        changed("name", to="hog"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(
    models_dir: Path, weights: Path, change: Callable[[Any], None]
) -> None:
    path = make(models_dir, weights).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(WeightsRefused):
        read_package(path.parent)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b"{" * 5000])
def test_what_is_no_manifest_is_refused(models_dir: Path, content: bytes) -> None:
    (models_dir / "x").mkdir(parents=True)
    (models_dir / "x" / "manifest.json").write_bytes(content)
    with pytest.raises(WeightsRefused, match="not a model's manifest"):
        read_package(models_dir / "x")
