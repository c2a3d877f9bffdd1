"""Export of an encoder's network to ONNX, refused if its vectors are not faithful."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from models.domain.durable_files import sha256_of
from models.domain.errors import ExportTooSlow, FidelityTooLow, InvalidInput
from models.domain.types import EncoderSpec, Precision
from models.encoders.encoder import Encoder
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import (
    Architecture,
    PhotoTransform,
    architecture_named,
)
from models.encoders.onnx import BATCH, OnnxEncoder
from models.encoders.onnx_export import RECIPE, export_float32, quantise
from models.encoders.package import Package, remove_leftovers, write_package
from models.encoders.preprocessing import to_pixels
from models.encoders.specs import network_spec
from models.encoders.torch_encoder import TorchEncoder
from models.evaluation.fidelity import Fidelity, fidelity
from models.head import find_head, head_path
from models.labels import LabelledPhotos
from models.photo_decoding import decode

Floats = NDArray[np.float32]
# Called with what is being done, how much of it is done, and how much there is.
OnProgress = Callable[[str, int, int], None]

MIN_MEAN_COSINE: Final = 0.98
"""Mean cosine to the float32 vectors under which an int8 network is refused."""

MIN_COSINE_FLOAT32: Final = 0.999
"""Cosine of any photo under which a float32 network is refused: it must be the same encoder."""

MOST_LOST: Final = 0.005
"""The most that precision@1 and mAP may fall, unless chance explains it."""

CALIBRATION_PHOTOS: Final = 512
COMPARED_PHOTOS: Final = 2_000
MIN_PHOTOS: Final = 32
SPEED_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How many photos calibrate an int8 network at most, and the seed by which they are drawn.

    With `must_be_better`, a network that is slower than its source is refused, too, and one that
    finds less of a category by more than `MOST_LOST`.
    """

    calibration_photos: int = CALIBRATION_PHOTOS
    seed: int = 0
    must_be_better: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """The result of an export: the package, its fidelity, and its speed.

    Speeds are in photos a second, from decoded photos to vectors; the source is torch for a float32
    network, and the float32 one in ONNX Runtime for an int8 network.
    """

    package: Package
    fidelity: Fidelity
    speed: float
    source_speed: float


@dataclass(frozen=True, slots=True)
class _Source:
    """The float32 network that is exported; `spec` identifies it before the export."""

    spec: EncoderSpec
    architecture: Architecture
    weights: Path
    transform: PhotoTransform
    package: Package | None

    def by_torch(self, threads: int) -> Encoder:
        """The network as it is."""
        return TorchEncoder(self.spec, self.architecture, self.weights, threads, self.transform)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """An exported network compared with its source: fidelity, and photos a second of both."""

    fidelity: Fidelity
    source_speed: float
    speed: float


def export_encoder(
    library: EncoderLibrary,
    reference: str,
    models_dir: Path,
    precision: Precision,
    photos: LabelledPhotos,
    *,
    options: ExportOptions | None = None,
    threads: int,
    on_progress: OnProgress = lambda *_: None,
) -> Export:
    """Export an encoder's network, calibrated and compared on photos of the catalogue.

    Photos that calibrate it are not compared. Its category head is copied. Raises `InvalidInput`
    when there are fewer than 32 photos, or hardly two listings, `FidelityTooLow` when the vectors'
    mean cosine to the float32 ones is under 0.98 (for float32, any under 0.999), `ExportTooSlow`
    when the network must be better and is slower, and what `EncoderLibrary.find`, `weights_of` and
    `find_head` raise; then nothing is written.
    """
    options = options or ExportOptions()
    if len(photos) < MIN_PHOTOS:
        raise InvalidInput(
            f"An export needs at least {MIN_PHOTOS} photos to calibrate and compare with; "
            f"there are {len(photos)}."
        )
    source = _source(library, reference)
    calibration, compared = _parts(photos, precision, options.calibration_photos, options.seed)
    if len(compared) < MIN_PHOTOS // 4:
        raise InvalidInput(f"Only {len(compared)} photos are of listings that did not calibrate.")
    head = find_head(models_dir, source.spec)
    models_dir.mkdir(parents=True, exist_ok=True)
    remove_leftovers(models_dir)
    with TemporaryDirectory(dir=models_dir, prefix=".export-") as folder:
        torch = source.by_torch(threads)
        original, exported = torch, _export_float32(Path(folder), source, torch, compared, threads)
        if precision is Precision.INT8:
            # The float32 network gives the same vectors as torch in a fraction of the time.
            batches = _batches(calibration, source.transform, on_progress)
            original, exported = exported, _quantised(exported, batches, source, threads)
        comparison = _compare_both(original, exported, compared, on_progress)
        _refuse_worse(comparison, precision, options)
        facts = _facts(source, comparison)
        if precision is Precision.INT8:
            facts["calibration"] = _calibration_facts(calibration, options.seed)
        package = write_package(
            models_dir,
            source.architecture,
            weights=source.weights,
            transform=source.transform,
            network=exported.network,
            precision=precision,
            facts=facts,
        )
    if head is not None and package.spec != source.spec:
        # The head was trained on vectors that differ only by rounding.
        replace(head, fingerprint=package.spec.fingerprint).save(
            head_path(models_dir, package.spec)
        )
    return Export(package, comparison.fidelity, comparison.speed, comparison.source_speed)


def _source(library: EncoderLibrary, reference: str) -> _Source:
    spec = library.base_of(library.find(reference))
    weights, package = library.weights_of(spec)
    if package is None:
        architecture = architecture_named(spec.name)
        transform = architecture.transform
    else:
        architecture, transform = package.architecture, package.transform
    float32 = network_spec(architecture, sha256_of(weights), transform)
    return _Source(float32, architecture, weights, transform, package)


def _export_float32(
    folder: Path, source: _Source, torch: Encoder, photos: LabelledPhotos, threads: int
) -> OnnxEncoder:
    """The network in ONNX and float32, in `folder`; a few photos must have torch's vectors.

    Raises `FidelityTooLow`.
    """
    network = folder / "float32.onnx"
    export_float32(source.architecture, source.weights, source.transform, network)
    few = _decoded(photos, range(min(BATCH, len(photos))))
    exported = _opened(network, source, Precision.FLOAT32, threads)
    _refuse_unfaithful(fidelity(torch.embed(few), exported.embed(few)), Precision.FLOAT32)
    return exported


def _quantised(
    float32: OnnxEncoder, batches: Iterator[Floats], source: _Source, threads: int
) -> OnnxEncoder:
    """The same network in int8, calibrated on pixels, beside its file."""
    network = float32.network.with_name("int8.onnx")
    quantise(float32.network, batches, network)
    return _opened(network, source, Precision.INT8, threads)


def _compare_both(
    original: Encoder, exported: Encoder, photos: LabelledPhotos, on_progress: OnProgress
) -> _Comparison:
    compared = _compare(original, exported, photos, on_progress)
    source_speed, speed = _speeds([original, exported], photos)
    return _Comparison(compared, source_speed, speed)


def _facts(source: _Source, comparison: _Comparison) -> dict[str, object]:
    """The provenance of the network, for the package's manifest."""
    return {
        **_inherited_facts(source.package),
        "fidelity": comparison.fidelity.facts(),
        "photos_per_s": {
            "source": round(comparison.source_speed, 1),
            "exported": round(comparison.speed, 1),
        },
        "onnxruntime": onnxruntime.__version__,
    }


def _calibration_facts(photos: LabelledPhotos, seed: int) -> dict[str, object]:
    return {"recipe": RECIPE, "photos": len(photos), "seed": seed, "digest": photos.digest}


def _refuse_unfaithful(measured: Fidelity, precision: Precision) -> None:
    refusal = None
    if precision is Precision.INT8 and measured.cosine_mean < MIN_MEAN_COSINE:
        refusal = f"a mean cosine of {measured.cosine_mean:.3f} to the float32 ones"
    if precision is Precision.FLOAT32 and measured.cosine_min < MIN_COSINE_FLOAT32:
        refusal = f"a cosine of {measured.cosine_min:.4f} to torch's for some photo"
    if refusal:
        raise FidelityTooLow(f"The exported network's vectors have {refusal}: nothing was written.")


def _refuse_worse(comparison: _Comparison, precision: Precision, options: ExportOptions) -> None:
    _refuse_unfaithful(comparison.fidelity, precision)
    if options.must_be_better:
        _refuse_slower(comparison)
        _refuse_lossy(comparison.fidelity)


def _refuse_slower(comparison: _Comparison) -> None:
    if comparison.speed <= comparison.source_speed:
        raise ExportTooSlow(
            f"The exported network embeds {comparison.speed:.1f} photos/s, its source "
            f"{comparison.source_speed:.1f}: nothing was written."
        )


def _refuse_lossy(measured: Fidelity) -> None:
    if measured.change is None:
        return  # there are no categories to tell by
    changes = {
        "precision@1": measured.change.precision_at_1,
        "mAP": measured.change.mean_average_precision,
    }
    for name, change in changes.items():
        # Of a thousand photos, chance alone moves precision@1 by more than half a point.
        if change.value < -MOST_LOST and change.high < 0:
            raise FidelityTooLow(
                f"With the exported network, {name} is {-change.value:.3f} lower "
                f"({-change.high:.3f} … {-change.low:.3f}): nothing was written."
            )


def _inherited_facts(package: Package | None) -> dict[str, object]:
    """The facts of a package that remain true of every export of it."""
    facts = {} if package is None else package.facts
    return {name: facts[name] for name in ("training",) if name in facts}


def _opened(network: Path, source: _Source, precision: Precision, threads: int) -> OnnxEncoder:
    """The exported network as an encoder, before it is packaged."""
    # A provisional spec, for the comparison only; the package has the final one.
    spec = replace(source.spec, precision=precision)
    return OnnxEncoder(spec, network, sha256_of(network), source.transform, threads)


def _parts(
    photos: LabelledPhotos, precision: Precision, wanted: int, seed: int
) -> tuple[LabelledPhotos, LabelledPhotos]:
    """Photos for the calibration, and photos of other listings for the comparison."""
    shuffled = np.random.default_rng(seed).permutation(sorted(set(photos.listings)))
    place = {listing: number for number, listing in enumerate(shuffled.tolist())}
    order = sorted(range(len(photos)), key=lambda row: (place[photos.listings[row]], row))
    count = min(wanted, len(order) // 2) if precision is Precision.INT8 else 0
    calibrating = {photos.listings[row] for row in order[:count]}
    others = [row for row in order[count:] if photos.listings[row] not in calibrating]
    return photos.take(order[:count]), photos.take(others[:COMPARED_PHOTOS])


def _decoded(photos: LabelledPhotos, rows: Sequence[int]) -> list[Image.Image]:
    return [decode(photos.read(row)) for row in rows]


def _slices(count: int) -> Iterator[range]:
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))


def _batches(
    photos: LabelledPhotos, transform: PhotoTransform, on_progress: OnProgress
) -> Iterator[Floats]:
    for rows in _slices(len(photos)):
        yield np.stack([to_pixels(photo, transform) for photo in _decoded(photos, rows)])
        on_progress("calibrated", rows.stop, len(photos))


def _compare(
    original: Encoder, exported: Encoder, photos: LabelledPhotos, on_progress: OnProgress
) -> Fidelity:
    before, after = [], []
    for rows in _slices(len(photos)):
        batch = _decoded(photos, rows)
        before.append(original.embed(batch))
        after.append(exported.embed(batch))
        on_progress("compared", rows.stop, len(photos))
    listings = categories = None
    if len(set(photos.categories)) > 1:
        listings, categories = _numbered(photos.listings), _numbered(photos.categories)
    return fidelity(np.concatenate(before), np.concatenate(after), listings, categories)


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _speeds(encoders: Sequence[Encoder], photos: LabelledPhotos) -> list[float]:
    """Photos a second of each encoder: the best of several alternating rounds."""
    batch = _decoded(photos, range(min(BATCH, len(photos))))
    best = [float("inf")] * len(encoders)
    for _ in range(SPEED_ROUNDS):
        for number, encoder in enumerate(encoders):
            begun = perf_counter()
            encoder.embed(batch)
            best[number] = min(best[number], perf_counter() - begun)
    return [len(batch) / seconds for seconds in best]
