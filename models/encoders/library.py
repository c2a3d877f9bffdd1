"""The encoders whose files this machine has. No runtime is imported: see `runtimes`."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from models.adaptation.adapted_package import MANIFEST_FILE as ADAPTED_MANIFEST
from models.adaptation.adapted_package import AdaptedPackage, read_adapted_package_if_any
from models.domain.durable_files import sha256_of
from models.domain.errors import NotFound, WeightsError, WeightsMissing, WeightsRefused
from models.domain.types import EncoderSpec, Precision
from models.encoders.networks.architectures import (
    EFFICIENTNET_LITE,
    RESNET50,
    Architecture,
    DownloadedWeights,
    PhotoTransform,
    architecture_named,
)
from models.encoders.networks.recognition import recognised
from models.encoders.package import MANIFEST_FILE, Package, read_package_if_any, verify_file
from models.encoders.specs import HOG, hog_spec, network_spec
from models.encoders.weights import (
    ProgressCallback,
    downloaded_weights,
    given_weights,
    installed_weights,
)

log = logging.getLogger(__name__)

AUTO: Final = "auto"
"""Names the best encoder whose weights are given, can be downloaded, or are installed."""

NETWORKS: Final = {RESNET50.name: RESNET50, "efficientnet-lite": EFFICIENTNET_LITE}
"""The networks that settings and commands name."""

NAMES: Final = (AUTO, *NETWORKS, HOG)

ADVICE: Final = (
    "Set MARKETLENS_WEIGHTS to a file of weights (safetensors or a state dict), or leave "
    "MARKETLENS_ENCODER at auto, which needs none."
)


@dataclass(frozen=True, slots=True)
class ExportedNetwork:
    """An exported network's file, and its expected SHA-256 (hex)."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """The files of an encoder, not yet verified; `exported` is None if it was not exported."""

    architecture: Architecture
    weights: Path
    transform: PhotoTransform
    exported: ExportedNetwork | None = None


class _Weights(NamedTuple):
    """A file of weights outside of any package, and the network that they are of."""

    architecture: Architecture
    path: Path
    sha256: str

    @property
    def spec(self) -> EncoderSpec:
        return network_spec(self.architecture, self.sha256)


class EncoderLibrary:
    """Encoders by what identifies them. Constructing it reads nothing.

    `name` (one of `NAMES`) and `weights` are what the settings ask for; `models_dir` holds
    packages, one folder an encoder, and the downloaded weights.
    """

    def __init__(self, name: str, weights: Path | None, models_dir: Path) -> None:
        self._name = name
        self._weights = weights
        self._models_dir = models_dir
        self._has_fallen_back = False

    @property
    def models_dir(self) -> Path:
        """The folder of the packages."""
        return self._models_dir

    def configured(
        self,
        on_progress: ProgressCallback | None = None,
        on_fallback: Callable[[str], None] = log.warning,
    ) -> EncoderSpec:
        """The encoder that the settings ask for: of its weights, the fastest that was exported.

        Weights that are given are read once, to see what network they are of. Those of ResNet-50
        are downloaded when none are given; where that fails, `auto` is the network whose weights
        are installed, and `on_fallback` gets the reason. Raises WeightsError.
        """
        if self._name == HOG:
            return hog_spec()
        weights = self._configured_weights(on_progress, on_fallback)
        architecture = weights.architecture
        int8 = self._int8_of(weights.sha256, architecture, architecture.transform)
        return int8 or weights.spec

    def may_stay(self, spec: EncoderSpec) -> bool:
        """Whether the settings leave the choice, and this is a network that can be opened."""
        is_free = self._name == AUTO and self._weights is None
        return is_free and self.base_of(spec).name != HOG and spec in self.specs()

    def _configured_weights(
        self, on_progress: ProgressCallback | None, on_fallback: Callable[[str], None]
    ) -> _Weights:
        if self._weights is not None:
            given = self._given(self._weights)
            if self._name != AUTO and not _is_named(given.architecture, self._name):
                raise WeightsRefused(
                    f"The weights in {given.path} are of {given.architecture.name}, and "
                    f"MARKETLENS_ENCODER asks for {self._name}."
                )
            return given
        if self._name != AUTO:
            try:
                return _published(NETWORKS[self._name], self._models_dir, on_progress)
            except WeightsMissing as error:
                raise WeightsMissing(f"{error} {ADVICE}") from error
        try:
            # Waiting for a network that is not there takes seconds: once is enough.
            if not self._has_fallen_back:
                return _published(RESNET50, self._models_dir, on_progress)
        except WeightsError as error:
            if self._downloaded(RESNET50) is not None:  # it is damaged, and should be looked at
                raise
            self._has_fallen_back = True
            on_fallback(f"{EFFICIENTNET_LITE.name} is used, whose weights are installed. {error}")
        return _published(EFFICIENTNET_LITE, self._models_dir, None)

    def specs(self) -> list[EncoderSpec]:
        """Every encoder that can be opened here: packages, weights that are here, and `hog`.

        Packages that can't be read are skipped. Raises WeightsError for weights that are given and
        can't be used.
        """
        known = {package.spec: None for package in self._packages()}
        known |= {weights.spec: None for weights in self._bare_weights()}
        known[hog_spec()] = None
        adapted = [package.spec for package in self._adapted_packages() if package.base in known]
        return [*known, *adapted]

    def including(self, reference: str) -> "EncoderLibrary":
        """This library; if the reference is a file of weights, one that includes them."""
        weights = Path(reference)
        if weights.is_file():
            return EncoderLibrary(AUTO, weights, self._models_dir)
        return self

    def find(self, reference: str) -> EncoderSpec:
        """The encoder of this label, fingerprint, or beginning of one; or of a weights file.

        One of `NAMES` is what the settings would ask for by it. The library that
        `including(reference)` returns can open it. Raises NotFound when there is none, or more
        than one, and WeightsError.
        """
        if reference in NAMES:
            return self._named(reference).configured()
        path = Path(reference)
        if path.is_file():
            return self._given(path).spec
        specs = self.specs()
        found = [spec for spec in specs if reference in {spec.label, spec.fingerprint}]
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

    def adapted(self, spec: EncoderSpec) -> AdaptedPackage | None:
        """The folder of an adapted encoder; None for one that is not adapted, or not here."""
        package = read_adapted_package_if_any(self._models_dir / spec.label)
        return package if package is not None and package.spec == spec else None

    def base_of(self, spec: EncoderSpec) -> EncoderSpec:
        """The encoder whose vectors this one maps; the encoder itself if it maps none."""
        package = self.adapted(spec)
        return spec if package is None else package.base

    def int8_of(self, spec: EncoderSpec) -> EncoderSpec | None:
        """The int8 network that was exported last from this float32 network; None if none was."""
        files = self.files_of(spec)
        return self._int8_of(sha256_of(files.weights), files.architecture, files.transform)

    def files_of(self, spec: EncoderSpec) -> EncoderFiles:
        """The files of a network. Raises `WeightsMissing` if this machine does not have them."""
        package = self._package(spec)
        if package is None:
            weights = self._weights_of(spec)
            if weights is None:
                raise WeightsMissing(
                    f"The files of the encoder {spec.label} are not in {self._models_dir}."
                )
            architecture = weights.architecture
            return EncoderFiles(architecture, weights.path, architecture.transform)
        exported = None
        if package.network is not None and package.network_sha256 is not None:
            exported = ExportedNetwork(package.network, package.network_sha256)
        return EncoderFiles(package.architecture, package.weights, package.transform, exported)

    def weights_of(self, spec: EncoderSpec) -> tuple[Path, Package | None]:
        """The float32 weights that an encoder was made of, and its package if it has one.

        Those of an adapted encoder are its base's. The file has been verified to be that one.
        Raises `WeightsMissing` or `WeightsRefused`.
        """
        spec = self.base_of(spec)
        package = self._package(spec)
        if package is not None:
            return verify_file(package.weights, package.weights_sha256), package
        weights = self._weights_of(spec)
        if weights is None:
            raise WeightsMissing(f"The encoder {spec.label} has no weights here.")
        return weights.path, None

    def facts(self, spec: EncoderSpec) -> Mapping[str, object]:
        """An encoder's provenance: its calibration, fidelity, training or adaptation."""
        package = self.adapted(spec) or self._package(spec)
        return {} if package is None else package.facts

    def _int8_of(
        self, weights_sha256: str, architecture: Architecture, transform: PhotoTransform
    ) -> EncoderSpec | None:
        int8 = [
            package.spec
            for package in self._packages()
            if package.weights_sha256 == weights_sha256
            and package.architecture == architecture
            and package.transform == transform
            and package.spec.precision is Precision.INT8
        ]
        return int8[-1] if int8 else None

    def _package(self, spec: EncoderSpec) -> Package | None:
        package = read_package_if_any(self._models_dir / spec.label)
        return package if package is not None and package.spec == spec else None

    def _packages(self) -> list[Package]:
        """All readable packages, the oldest first; damaged ones are skipped."""
        manifests = self._models_dir.glob(f"[!.]*/{MANIFEST_FILE}")
        by_age = sorted(manifests, key=lambda path: (path.stat().st_mtime_ns, path))
        found = [read_package_if_any(manifest.parent) for manifest in by_age]
        return [package for package in found if package is not None]

    def _adapted_packages(self) -> list[AdaptedPackage]:
        """All readable adapted encoders, the oldest first."""
        manifests = self._models_dir.glob(f"[!.]*/{ADAPTED_MANIFEST}")
        by_age = sorted(manifests, key=lambda path: (path.stat().st_mtime_ns, path))
        found = [read_adapted_package_if_any(manifest.parent) for manifest in by_age]
        return [package for package in found if package is not None]

    def _named(self, name: str) -> "EncoderLibrary":
        """The library of settings that name this encoder, with given weights if they are its."""
        weights = self._weights
        if weights is not None and name in NETWORKS:
            is_of_it = _is_named(self._given(weights).architecture, name)
            weights = weights if is_of_it else None
        return EncoderLibrary(name, weights, self._models_dir)

    def _given(self, path: Path) -> _Weights:
        """Weights from anywhere; those of a package were read when it was made."""
        sha256 = sha256_of(given_weights(path))
        for package in self._packages():
            if package.weights_sha256 == sha256:
                return _Weights(architecture_named(package.architecture.name), path, sha256)
        return _Weights(recognised(path.resolve(), sha256), path, sha256)

    def _downloaded(self, architecture: Architecture) -> Path | None:
        if not isinstance(architecture.weights, DownloadedWeights):
            return None
        path = self._models_dir / architecture.weights.filename
        return path if path.is_file() else None

    def _bare_weights(self) -> Iterator[_Weights]:
        """Weights outside a package: given, downloaded or installed; none are downloaded now."""
        if self._weights is not None and self._weights.is_file():
            yield self._given(self._weights)
        for architecture in NETWORKS.values():
            if isinstance(architecture.weights, DownloadedWeights):
                path = self._downloaded(architecture)
                if path is not None:
                    yield _Weights(architecture, path, sha256_of(path))
            else:
                try:
                    yield _published(architecture, self._models_dir, None)
                except WeightsError as error:
                    log.debug("%s", error)

    def _weights_of(self, spec: EncoderSpec) -> _Weights | None:
        return next((one for one in self._bare_weights() if one.spec == spec), None)


def _is_named(architecture: Architecture, name: str) -> bool:
    """Whether a name of the settings is this network's: a variant of it counts as well."""
    return architecture.name.startswith(name)


def _published(
    architecture: Architecture, models_dir: Path, on_progress: ProgressCallback | None
) -> _Weights:
    """A network's published weights, downloaded if they must be. Raises WeightsError."""
    match architecture.weights:
        case DownloadedWeights() as published:
            path = downloaded_weights(published, models_dir, on_progress)
        case installed:
            path = installed_weights(installed)
    return _Weights(architecture, path, architecture.weights.sha256)
