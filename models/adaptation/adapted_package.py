"""An adapted encoder's folder: the map of its base's vectors, and where it comes from.

    <label>/
        adaptation.json         its identity and its base's, and the SHA-256 of the map
        adaptation.safetensors  the map (see `adaptation`)
        head.safetensors        the category head, if one was trained

The base has a folder of its own. No numpy here: who lists encoders reads this.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from models.domain.durable_files import new_file, sync_folder
from models.domain.errors import WeightsMissing, WeightsRefused
from models.domain.types import EncoderSpec, Precision

MANIFEST_FILE: Final = "adaptation.json"
MAP_FILE: Final = "adaptation.safetensors"
FORMAT: Final = 1
SUFFIX: Final = "-adapted"
VERSION: Final = 1
"""Raise it when the same map gives other vectors."""


@dataclass(frozen=True, slots=True)
class AdaptedPackage:
    """An adapted encoder's folder, as its manifest describes it; the map has not been read yet."""

    folder: Path
    spec: EncoderSpec
    base: EncoderSpec
    map_sha256: str
    facts: Mapping[str, object]

    @property
    def map(self) -> Path:
        """The file of the map."""
        return self.folder / MAP_FILE


class _Base(BaseModel):
    name: str
    dimension: int
    fingerprint: str
    precision: Precision


class _Manifest(BaseModel):
    format: int = Field(ge=FORMAT, le=FORMAT)
    base: _Base
    dimension: int = Field(ge=1)
    map: str = Field(pattern="^[0-9a-f]{64}$")
    facts: dict[str, object]


def adapted_spec(base: EncoderSpec, map_sha256: str, dimension: int) -> EncoderSpec:
    """The identity of a base encoder whose vectors are mapped by the file with this SHA-256."""
    facts = {"base": base.fingerprint, "map": map_sha256, "version": VERSION}
    fingerprint = sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return EncoderSpec(f"{base.name}{SUFFIX}", dimension, fingerprint, base.precision)


def write_adapted_package(
    models_dir: Path,
    base: EncoderSpec,
    content: bytes,
    dimension: int,
    facts: Mapping[str, object],
) -> AdaptedPackage:
    """Write the folder of an adapted encoder, atomically; one that is there already stays.

    `content` is the file of the map, which gives `dimension` numbers.
    """
    digest = sha256(content).hexdigest()
    spec = adapted_spec(base, digest, dimension)
    target = models_dir / spec.label
    models_dir.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=models_dir, prefix=f".{spec.label}."))
    try:
        made.chmod(0o755)
        with new_file(made / MAP_FILE) as file:
            file.write(content)
        manifest = {
            "format": FORMAT,
            "base": asdict(base),
            "dimension": dimension,
            "map": digest,
            "facts": dict(facts),
        }
        with new_file(made / MANIFEST_FILE) as file:
            file.write((json.dumps(manifest, indent=2) + "\n").encode())
        sync_folder(made)
        try:
            made.replace(target)
        except OSError:
            if read_adapted_package_if_any(target) is None:
                raise
        sync_folder(models_dir)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return read_adapted_package(target)


def read_adapted_package(folder: Path) -> AdaptedPackage:
    """Read an adapted encoder's manifest; the map is verified when it is opened.

    Raises `WeightsMissing` if there is none, and `WeightsRefused` if it is damaged.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise WeightsMissing(f"There is no adapted encoder in {folder}.") from error
    except (ValidationError, OSError) as error:
        raise WeightsRefused(f"{path} is not an adapted encoder's manifest.") from error
    base = EncoderSpec(**manifest.base.model_dump())
    spec = adapted_spec(base, manifest.map, manifest.dimension)
    return AdaptedPackage(folder, spec, base, manifest.map, manifest.facts)


def read_adapted_package_if_any(folder: Path) -> AdaptedPackage | None:
    """The adapted encoder in a folder; None where there is none or it can't be read."""
    try:
        return read_adapted_package(folder)
    except (WeightsMissing, WeightsRefused):
        return None
