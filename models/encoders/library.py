"""The encoders whose files this machine has. No runtime is imported: see `runtimes`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.domain.durable_files import sha256_of
from models.domain.errors import NotFound, WeightsMissing
from models.domain.types import EncoderSpec, Precision
from models.encoders.package import MANIFEST_FILE, Package, read_package_if_any, verify_file
from models.encoders.specs import (
    HOG,
    RESNET50,
    RESNET50_TRANSFORM,
    ResNet50Transform,
    resolve_spec,
)
from models.encoders.weights import IMAGENET1K_V2, ProgressCallback, locate_weights


@dataclass(frozen=True, slots=True)
class Network:
    """An exported network's file, and its expected SHA-256 (hex)."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """The files of an encoder, not yet verified. `network` is the exported one."""

    weights: Path
    transform: ResNet50Transform
    network: Network | None = None


class EncoderLibrary:
    """Encoders by what identifies them. Constructing it reads nothing.

    `name` and `weights` are what the settings ask for; `models_dir` holds packages, one folder an
    encoder, and the downloaded weights.
    """

    def __init__(self, name: str, weights: Path | None, models_dir: Path) -> None:
        self._name = name
        self._weights = weights
        self._models_dir = models_dir

    def configured(self, on_progress: ProgressCallback | None = None) -> EncoderSpec:
        """The encoder that the settings ask for: of its weights, the fastest that was exported.

        Downloads the weights when none are given. Raises as `locate_weights` and `resolve_spec`
        do.
        """
        if self._name != RESNET50:
            return resolve_spec(self._name, None)
        weights = locate_weights(self._weights, self._models_dir, on_progress=on_progress)
        sha256 = sha256_of(weights)
        int8 = [
            package.spec
            for package in self._packages()
            if package.weights_sha256 == sha256
            and package.transform == RESNET50_TRANSFORM
            and package.spec.precision is Precision.INT8
        ]
        return int8[-1] if int8 else resolve_spec(RESNET50, weights)

    def specs(self) -> list[EncoderSpec]:
        """Every encoder that can be opened here: packages, given or downloaded weights, `hog`.

        Packages that can't be read are skipped.
        """
        known = {package.spec: None for package in self._packages()}
        for weights in self._bare_weights():
            known[resolve_spec(RESNET50, weights)] = None
        return [*known, resolve_spec(HOG, None)]

    def including(self, reference: str) -> "EncoderLibrary":
        """This library; if the reference is a file of weights, one that includes them."""
        weights = Path(reference)
        if weights.is_file():
            return EncoderLibrary(RESNET50, weights, self._models_dir)
        return self

    def find(self, reference: str) -> EncoderSpec:
        """The encoder of this label, name, fingerprint, or beginning of one; or of a weights file.

        The library that `including(reference)` returns can open it. Raises NotFound when there is
        none, or more than one.
        """
        if reference == self._name:
            return self.configured()
        path = Path(reference)
        if path.is_file():
            return resolve_spec(RESNET50, path)
        specs = self.specs()
        found = [spec for spec in specs if reference in {spec.label, spec.fingerprint, spec.name}]
        found = found or [
            spec
            for spec in specs
            if spec.label.startswith(reference) or spec.fingerprint.startswith(reference)
        ]
        if len(found) == 1:
            return found[0]
        known = ", ".join(spec.label for spec in found or specs)
        problem = "More than one encoder is" if found else "No encoder here is"
        raise NotFound(f"{problem} named {reference!r}; there are {known}.")

    def files_of(self, spec: EncoderSpec) -> EncoderFiles:
        """The files of a ResNet-50. Raises `WeightsMissing` if this machine does not have them."""
        package = self._package(spec)
        if package is None:
            weights = self._weights_of(spec)
            if weights is None:
                raise WeightsMissing(
                    f"The files of the encoder {spec.label} are not in {self._models_dir}."
                )
            return EncoderFiles(weights, RESNET50_TRANSFORM)
        network = None
        if package.network is not None and package.network_sha256 is not None:
            network = Network(package.network, package.network_sha256)
        return EncoderFiles(package.weights, package.transform, network)

    def weights_of(self, spec: EncoderSpec) -> tuple[Path, Package | None]:
        """The float32 weights that an encoder was made of, and its package if it has one.

        The file has been verified to be that one. Raises `WeightsMissing` or `WeightsRefused`.
        """
        package = self._package(spec)
        if package is not None:
            return verify_file(package.weights, package.weights_sha256), package
        weights = self._weights_of(spec)
        if weights is None:
            raise WeightsMissing(f"The encoder {spec.label} has no weights here.")
        return weights, None

    def facts(self, spec: EncoderSpec) -> Mapping[str, object]:
        """An encoder's provenance: its calibration, fidelity and training."""
        package = self._package(spec)
        return {} if package is None else package.facts

    def _package(self, spec: EncoderSpec) -> Package | None:
        package = read_package_if_any(self._models_dir / spec.label)
        return package if package is not None and package.spec == spec else None

    def _packages(self) -> list[Package]:
        """All readable packages, the oldest first; damaged ones are skipped."""
        manifests = self._models_dir.glob(f"[!.]*/{MANIFEST_FILE}")
        by_age = sorted(manifests, key=lambda path: (path.stat().st_mtime_ns, path))
        found = [read_package_if_any(manifest.parent) for manifest in by_age]
        return [package for package in found if package is not None]

    def _bare_weights(self) -> list[Path]:
        """Weights outside a package, given or downloaded; none are downloaded now."""
        known = [self._weights, self._models_dir / IMAGENET1K_V2.filename]
        return [path for path in known if path is not None and path.is_file()]

    def _weights_of(self, spec: EncoderSpec) -> Path | None:
        for weights in self._bare_weights():
            if resolve_spec(RESNET50, weights) == spec:
                return weights
        return None
