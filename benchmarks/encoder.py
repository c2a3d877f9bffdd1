"""How fast a network embeds on each runtime, and what int8 costs in quality.

    python -m benchmarks.encoder --data FEED [--network NAME] [--weights WEIGHTS] [--json]

All runtimes embed the same photos in one run, in turns, so that their ratios hold on a noisy
machine. Speed is of the network alone, on pixels; `embed_*` is from decoded photos to vectors.
Cosines are of photos that the calibration has not seen; precision and mAP are over all photos, each
searched among those of other listings. The ceiling is what this machine's float32 matrix product
would allow, were there nothing else to do.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from benchmarks.photo_shapes import Catalogue, read_catalogue
from models.domain.durable_files import sha256_of
from models.domain.errors import SetupError
from models.domain.types import Precision
from models.encoders.encoder import Encoder
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.networks.architectures import (
    EFFICIENTNET_LITE,
    Architecture,
    InstalledWeights,
    PhotoTransform,
    architecture_named,
)
from models.encoders.networks.build import build_network
from models.encoders.onnx import BATCH, INPUT, OUTPUT, open_network
from models.encoders.onnx_export import export_float32, quantise
from models.encoders.package import write_package
from models.encoders.preprocessing import to_pixels
from models.encoders.runtimes import open_encoder
from models.encoders.specs import network_spec
from models.encoders.torch_encoder import TorchEncoder
from models.encoders.weights import installed_weights
from models.evaluation.fidelity import fidelity
from models.photo_decoding import decode
from progress import Bars

Floats = NDArray[np.float32]

GFLOP_PER_PHOTO: Final = {"resnet50": 8.2}
MATRIX: Final = 4_096
ROUNDS: Final = 12
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Runtimes:
    """The same network three times."""

    torch_eager: Encoder
    onnx_fp32: Encoder
    onnx_int8: Encoder
    networks: Mapping[str, Callable[[Floats], Floats]]


def main(
    data: Annotated[Path, typer.Option(help="Products.csv, Images.csv and images/<id>.jpg.")],
    *,
    network: Annotated[str, typer.Option(help="Its name.")] = EFFICIENTNET_LITE.name,
    weights: Annotated[
        Path | None, typer.Option(help="Its weights; the installed ones by default.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of each network.")] = 2,
    calibrate: Annotated[int, typer.Option(help="Photos to calibrate with.")] = 512,
    limit: Annotated[int | None, typer.Option(help="Only the first so many photos.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Export, measure speed, then fidelity; print each as it is known."""
    architecture = architecture_named(network)
    if weights is None:
        weights = published_weights(architecture)
    catalogue = read_catalogue(data, limit)
    order = np.random.default_rng(SEED).permutation(len(catalogue.photos))
    calibration, unseen = order[:calibrate], order[calibrate:]
    say(f"{len(order):,} photos, {len(calibration):,} of them to calibrate with")
    with TemporaryDirectory() as folder:
        runtimes = export(architecture, weights, catalogue, calibration, Path(folder), threads)
        some_photos = [decode(photo) for photo in catalogue.photos[:BATCH]]
        figures = speeds(runtimes, some_photos, architecture.transform)
        if network in GFLOP_PER_PHOTO:
            figures["fp32_ceiling"] = matrix_product_rate(threads) / GFLOP_PER_PHOTO[network]
        for name, value in figures.items():
            say(f"{name}: {value:.1f}")
        with Bars(Console(stderr=True)) as bars:
            reference = embed_all(runtimes.onnx_fp32, catalogue, bars)
            int8 = embed_all(runtimes.onnx_int8, catalogue, bars)
        some = unseen[: 8 * BATCH]
        eager = runtimes.torch_eager.embed([decode(catalogue.photos[item]) for item in some])
    same = fidelity(eager, reference[some])
    close = fidelity(reference[unseen], int8[unseen])
    full = fidelity(reference, int8, catalogue.listings, catalogue.categories)
    if full.reference is None or full.exported is None:
        raise SetupError("No two listings of this feed share a category.")
    figures |= {
        "speedup_int8": figures["onnx_int8"] / figures["torch_eager"],
        "speedup_fp32": figures["onnx_fp32"] / figures["torch_eager"],
        "cosine_mean": close.cosine_mean,
        "cosine_min": close.cosine_min,
        "cosine_min_fp32": same.cosine_min,
        "p1_fp32": full.reference.precision_at_1,
        "p1_int8": full.exported.precision_at_1,
        "map_fp32": full.reference.mean_average_precision,
        "map_int8": full.exported.mean_average_precision,
    }
    for name, value in figures.items():
        say(f"{name:<18}{value:10.4f}")
    if as_json:
        typer.echo(json.dumps(figures))


def say(line: str) -> None:
    """Tell a person."""
    print(line, file=sys.stderr, flush=True)


def published_weights(architecture: Architecture) -> Path:
    """The weights that are installed. Raises SetupError for a network without them."""
    if not isinstance(architecture.weights, InstalledWeights):
        raise SetupError(f"{architecture.name} needs --weights.")
    return installed_weights(architecture.weights)


def export(
    architecture: Architecture,
    weights: Path,
    catalogue: Catalogue,
    calibration: NDArray[np.int64],
    folder: Path,
    threads: int,
) -> Runtimes:
    """The network on every runtime, not loaded by any of the encoders yet."""
    float32, int8 = folder / "float32.onnx", folder / "int8.onnx"
    transform = architecture.transform
    export_float32(architecture, weights, transform, float32)
    batches = (
        np.stack(
            [
                to_pixels(decode(catalogue.photos[item]), transform)
                for item in calibration[start : start + BATCH]
            ]
        )
        for start in range(0, len(calibration), BATCH)
    )
    quantise(float32, batches, int8)
    library = EncoderLibrary(AUTO, None, folder)
    encoders = []
    for network, precision in ((float32, Precision.FLOAT32), (int8, Precision.INT8)):
        package = write_package(
            folder,
            architecture,
            weights=weights,
            network=network,
            precision=precision,
            facts={},
        )
        encoders.append(open_encoder(library, package.spec, threads))
    eager = TorchEncoder(
        network_spec(architecture, sha256_of(weights)), architecture, weights, threads
    )
    networks = {
        "torch_eager": eager_network(architecture, weights, threads),
        "onnx_fp32": session(float32, threads),
        "onnx_int8": session(int8, threads),
    }
    return Runtimes(eager, encoders[0], encoders[1], networks)


def eager_network(
    architecture: Architecture, weights: Path, threads: int
) -> Callable[[Floats], Floats]:
    """torch, not compiled, channels last."""
    torch.set_num_threads(threads)
    network = build_network(architecture, weights)

    def run(values: Floats) -> Floats:
        with torch.inference_mode():
            batch = torch.from_numpy(values).to(memory_format=torch.channels_last)
            embedded: Floats = network(batch).numpy()
            return embedded

    return run


def session(path: Path, threads: int) -> Callable[[Floats], Floats]:
    """ONNX Runtime."""
    opened = open_network(path, threads)

    def run(values: Floats) -> Floats:
        embedded: Floats = opened.run([OUTPUT], {INPUT: values})[0]
        return embedded

    return run


def speeds(
    runtimes: Runtimes, photos: list[Image.Image], transform: PhotoTransform
) -> dict[str, float]:
    """Photos a second of each runtime: the best of rounds in which all take turns."""
    values = np.stack([to_pixels(photo, transform) for photo in photos])
    encoders = {
        "embed_torch_eager": runtimes.torch_eager,
        "embed_onnx_fp32": runtimes.onnx_fp32,
        "embed_onnx_int8": runtimes.onnx_int8,
    }
    calls: dict[str, Callable[[], object]] = {
        **{name: partial(network, values) for name, network in runtimes.networks.items()},
        **{name: partial(encoder.embed, photos) for name, encoder in encoders.items()},
    }
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            begun = perf_counter()
            call()
            best[name] = min(best[name], perf_counter() - begun)
    return {name: len(photos) / seconds for name, seconds in best.items()}


def matrix_product_rate(threads: int) -> float:
    """GFLOP a second of a large float32 matrix product."""
    torch.set_num_threads(threads)
    matrix = torch.rand(MATRIX, MATRIX)
    best = float("inf")
    for _ in range(4):
        begun = perf_counter()
        _ = matrix @ matrix
        best = min(best, perf_counter() - begun)
    return 2 * MATRIX**3 / best / 1e9


def embed_all(encoder: Encoder, catalogue: Catalogue, bars: Bars) -> Floats:
    """Every photo's vector."""
    parts, total = [], len(catalogue.photos)
    for start in range(0, total, BATCH):
        parts.append(encoder.embed([decode(item) for item in catalogue.photos[start:][:BATCH]]))
        bars.show(encoder.runtime, min(start + BATCH, total), total)
    return np.concatenate(parts)


if __name__ == "__main__":
    typer.run(main)
