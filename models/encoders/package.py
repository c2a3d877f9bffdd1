"""A model package: a folder of weights, exported network, transform, and provenance.

    <label>/
        manifest.json          its identity, and the SHA-256 of weights and network
        weights                the float32 weights, unchanged
        network-1a2b3c4d.onnx  the network in the encoder's precision, if it was exported
        head.safetensors       the category head, if one was trained (see `models.head`)

The same encoder has the same label on every machine, so that the folder can be copied.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.domain.durable_files import new_file, sha256_of, sync_folder
from models.domain.errors import WeightsError, WeightsMissing, WeightsRefused
from models.domain.types import EncoderSpec, Precision
from models.encoders.networks.architectures import (
    ARCHITECTURES,
    Architecture,
    PhotoTransform,
    Pooling,
    architecture_named,
)
from models.encoders.specs import network_spec

MANIFEST_FILE: Final = "manifest.json"
# Without a suffix: its format is detected from its first bytes.
WEIGHTS_FILE: Final = "weights"
FORMAT: Final = 1

STALE_AFTER_S: Final = 86_400
"""A hidden folder among the models that is older than this is a killed process' leftover."""

Sha256 = Field(pattern="^[0-9a-f]{64}$")


class _Transform(BaseModel):
    model_config = ConfigDict(extra="forbid")

    resize: int = Field(ge=32, le=1024)
    crop: int = Field(ge=32, le=1024)
    interpolation: str = Field(pattern="^(bilinear|bicubic)$")
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @model_validator(mode="after")
    def _crop_fits(self) -> "_Transform":
        if self.crop > self.resize or not all(self.std):
            raise ValueError("crops more than there is, or divides by nothing")
        return self


class _File(BaseModel):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    sha256: str = Sha256


class _Manifest(BaseModel):
    format: int = Field(ge=FORMAT, le=FORMAT)
    name: str
    precision: Precision
    dimension: int
    fingerprint: str = Sha256
    transform: _Transform
    pooling: Pooling = Pooling.MEAN
    weights: _File
    network: _File | None
    facts: dict[str, object]

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            raise ValueError("is no network here")
        return name


@dataclass(frozen=True, slots=True)
class Package:
    """A model's folder, as its manifest describes it; no other file has been read yet.

    `network` is the exported network, None where there is none. The hashes say what the files
    must be before they are loaded: see `verify_file`.
    """

    folder: Path
    spec: EncoderSpec
    architecture: Architecture
    transform: PhotoTransform
    weights: Path
    weights_sha256: str
    network: Path | None
    network_sha256: str | None
    facts: Mapping[str, object]


def write_package(
    models_dir: Path,
    architecture: Architecture,
    *,
    weights: Path,
    transform: PhotoTransform | None = None,
    network: Path | None = None,
    precision: Precision = Precision.FLOAT32,
    facts: Mapping[str, object],
) -> Package:
    """Write the package of a network under `models_dir`, atomically.

    `transform` is the network's own by default. A package of the same label is replaced, but keeps
    its head, and its exported network if this one has none; a concurrent reader gets the old or
    the new one. Raises WeightsMissing for a missing file.
    """
    for file in (weights, network):
        if file is not None and not file.is_file():
            raise WeightsMissing(f"{file} is not a file.")
    is_int8 = precision is Precision.INT8
    if is_int8 and network is None:
        raise WeightsMissing("An int8 encoder is an exported network; there is none.")
    weights_sha256 = sha256_of(weights)
    network_sha256 = None if network is None else sha256_of(network)
    transform = transform or architecture.transform
    spec = network_spec(
        architecture, weights_sha256, transform, network_sha256 if is_int8 else None
    )
    target = models_dir / spec.label
    if network is None and (kept := read_package_if_any(target)) is not None:
        network, network_sha256 = kept.network, kept.network_sha256
    models_dir.mkdir(parents=True, exist_ok=True)
    remove_leftovers(models_dir)
    made = Path(tempfile.mkdtemp(dir=models_dir, prefix=f".{spec.label}."))
    try:
        made.chmod(0o755)
        _add_file(weights, made / WEIGHTS_FILE, models_dir)
        if network is not None:
            _add_file(network, made / f"network-{network_sha256:.8}.onnx", models_dir)
        manifest = {
            "format": FORMAT,
            **asdict(spec),
            "transform": asdict(transform),
            "pooling": architecture.pooling,
            "weights": {"name": WEIGHTS_FILE, "sha256": weights_sha256},
            "network": network_sha256
            and {"name": f"network-{network_sha256:.8}.onnx", "sha256": network_sha256},
            "facts": dict(facts),
        }
        with new_file(made / MANIFEST_FILE) as made_manifest:
            made_manifest.write((json.dumps(manifest, indent=2) + "\n").encode())
        sync_folder(made)
        _install(made, target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return read_package(target)


def remove_leftovers(models_dir: Path) -> None:
    """Remove the temporary folders of killed processes."""
    for folder in models_dir.glob(".*/"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > STALE_AFTER_S:
                shutil.rmtree(folder)


def read_package_if_any(folder: Path) -> Package | None:
    """The package in a folder; None where there is none or it can't be read."""
    try:
        return read_package(folder)
    except WeightsError:
        return None


def read_package(folder: Path) -> Package:
    """Read a model folder's manifest; its files are verified when they are opened.

    Raises `WeightsMissing` if there is none, and `WeightsRefused` if it is damaged, or does not
    match its own fingerprint.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise WeightsMissing(f"There is no model in {folder}.") from error
    except ValidationError as error:
        raise WeightsRefused(f"{path} is not a model's manifest.") from error
    architecture = architecture_named(manifest.name).pooled_by(manifest.pooling)
    transform = PhotoTransform(**manifest.transform.model_dump())
    network = manifest.network
    is_int8 = manifest.precision is Precision.INT8
    if is_int8 and network is None:
        raise WeightsRefused(f"{path} is of an int8 encoder without a network.")
    spec = network_spec(
        architecture,
        manifest.weights.sha256,
        transform,
        network.sha256 if network and is_int8 else None,
    )
    if (spec.fingerprint, spec.dimension) != (manifest.fingerprint, manifest.dimension):
        raise WeightsRefused(f"{path} does not describe the encoder that it names.")
    return Package(
        folder,
        spec,
        architecture,
        transform,
        folder / manifest.weights.name,
        manifest.weights.sha256,
        folder / network.name if network else None,
        network.sha256 if network else None,
        manifest.facts,
    )


def verify_file(path: Path, sha256: str) -> Path:
    """The path of a packaged file, after its hash was verified; reads the whole file.

    Raises `WeightsMissing` or `WeightsRefused`.
    """
    if not path.is_file():
        raise WeightsMissing(f"{path} is not there.")
    if sha256_of(path) != sha256:
        raise WeightsRefused(f"{path} is not the file that was packaged: its hash differs.")
    return path


def _add_file(source: Path, target: Path, models_dir: Path) -> None:
    """Add a file to a new folder: hard-linked if it is in `models_dir` already, else copied."""
    # A file from elsewhere may be overwritten in place later, and its link with it.
    if source.resolve().is_relative_to(models_dir.resolve()):
        with suppress(OSError):  # not every file system can
            os.link(source.resolve(), target)
            return
    with source.open("rb") as given, new_file(target) as copy:
        shutil.copyfileobj(given, copy)


def _install(made: Path, target: Path) -> None:
    """Rename the folder to the target, or move its files there, the manifest last."""
    if not target.exists():
        made.replace(target)
        sync_folder(target.parent)
        return
    files = sorted(made.iterdir(), key=lambda file: file.name == MANIFEST_FILE)
    new = {file.name for file in files}
    for file in files:
        # Files of the same name have the same content, except the manifest.
        file.replace(target / file.name)
    sync_folder(target)
    for network in target.glob("network-*.onnx"):
        if network.name not in new:
            network.unlink(missing_ok=True)
