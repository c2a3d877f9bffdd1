"""Every encoder on one feed: as it is, adapted and fine-tuned, in float32 and int8.

    marketlens clean FEED CLEANED
    python -m benchmarks.encoder_table --data CLEANED [--resnet50 WEIGHTS] [--no-finetune] [--json]

Half of the listings teach: they calibrate, adapt and fine-tune. All figures are of the other half,
each photo searched among those of other listings (precision, mAP), or for its own listing's other
photos (recall), with intervals of 95% by listing. Gains are differences to the same network as it
is in float32, of the same searches. Photos a second are from decoded photos to vectors, in turns.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.adaptation.adapted_package import adapted_spec
from models.adaptation.trial import halves, learn_from, learnable
from models.domain.types import EncoderSpec, Precision
from models.encoders.encoder import Encoder
from models.encoders.export import export_encoder
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.networks.architectures import (
    ARCHITECTURES,
    RESNET50,
    Architecture,
    InstalledWeights,
)
from models.encoders.onnx import BATCH
from models.encoders.package import write_package
from models.encoders.runtimes import open_encoder
from models.encoders.specs import hog_spec
from models.encoders.weights import installed_weights
from models.evaluation.compare import compare, distinct_photos
from models.evaluation.intervals import Estimate
from models.labels import LabelledPhotos, Level
from models.photo_decoding import decode
from models.training.recipe import Recipe
from models.training.runs import open_run
from models.training.workflows import fine_tune
from progress import Bars
from workers.commands.labelled_photos import labelled_in_folder

Floats = NDArray[np.float32]

SHOWN: Final = ("precision_at_1", "precision_at_10", "map", "recall_at_1", "recall_at_10")
BYTES_A_NUMBER: Final = 2
ROUNDS: Final = 6
SEED: Final = 0


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """The photos that teach and those that test."""

    learned: LabelledPhotos
    tested: LabelledPhotos


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One encoder: how it came to be, what embeds for it, and its vectors of the test photos."""

    network: str
    precision: str
    kind: str
    spec: EncoderSpec
    encoder: Encoder
    vectors: Floats


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one row; `gains` over its network as it is in float32, None for that one."""

    network: str
    precision: str
    kind: str
    photos_per_s: float
    bytes: int
    metrics: Mapping[str, Estimate]
    gains: Mapping[str, Estimate | None]


def main(
    data: Annotated[Path, typer.Option(help="A folder that `marketlens clean` has written.")],
    *,
    resnet50: Annotated[Path | None, typer.Option(help="Weights of ResNet-50.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="Only this one; may repeat.")] = None,
    finetune: Annotated[bool, typer.Option(help="Fine-tune as well, which takes minutes.")] = True,
    threads: Annotated[int, typer.Option(help="Threads of each network.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Embed, adapt and fine-tune; print the table."""
    photos = distinct_photos(labelled_in_folder(data, Level.SUB))
    photos = photos.take(np.flatnonzero(learnable(photos, "")).tolist())
    learned, tested = halves(photos, SEED)
    feed = Feed(photos.take(learned.tolist()), photos.take(tested.tolist()))
    with TemporaryDirectory() as folder, Bars(Console(stderr=True)) as bars:
        rows = list(rows_of_hog(feed, threads, bars))
        for architecture, weights in networks(resnet50):
            if network and architecture.name not in network:
                continue
            made = Made(feed, Path(folder), threads, bars)
            rows += made.rows(architecture, weights, finetune=finetune)
        speeds = photos_per_second(rows, feed)
        figures = measured(rows, feed, speeds)
    Console(width=200).print(table(figures, feed))
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in figures]))


def networks(resnet50: Path | None) -> Iterator[tuple[Architecture, Path]]:
    """Those whose weights are installed, and ResNet-50 if its weights are given."""
    for architecture in ARCHITECTURES.values():
        if isinstance(architecture.weights, InstalledWeights):
            try:
                yield architecture, installed_weights(architecture.weights)
            except Exception as error:  # noqa: BLE001 - whatever it lacks, the others are measured
                print(f"{architecture.name} is left out: {error}", file=sys.stderr)
    if resnet50 is not None:
        yield RESNET50, resnet50


def rows_of_hog(feed: Feed, threads: int, bars: Bars) -> Iterator[Row]:
    """`hog` as it is, and adapted."""
    encoder = open_encoder(EncoderLibrary(AUTO, None, Path("none")), hog_spec(), threads)
    yield from as_is_and_adapted("hog", "", encoder, feed, bars)


def as_is_and_adapted(
    network: str, how: str, encoder: Encoder, feed: Feed, bars: Bars
) -> Iterator[Row]:
    """Two rows: the encoder, and what is adapted from it."""
    tested = embedded(encoder, feed.tested, bars)
    precision, spec = encoder.spec.precision.value, encoder.spec
    yield Row(network, precision, how or "as it is", spec, encoder, tested)
    adaptation = learn_from(feed.learned, embedded(encoder, feed.learned, bars))
    adapted = adapted_spec(spec, "0" * 64, adaptation.dimension)
    kind = f"{how}, adapted" if how else "adapted"
    yield Row(network, precision, kind, adapted, encoder, adaptation.apply(tested))


@dataclass(frozen=True, slots=True)
class Made:
    """Makes the encoders of a network in a folder of models."""

    feed: Feed
    folder: Path
    threads: int
    bars: Bars

    def rows(self, architecture: Architecture, weights: Path, *, finetune: bool) -> Iterator[Row]:
        """All rows of the network."""
        spec = write_package(self.folder, architecture, weights=weights, facts={}).spec
        yield from self._exported(architecture.name, "", spec)
        if not finetune:
            return
        before = {package.fingerprint for package in self._library.specs()}
        run = self.folder / f".run-{architecture.name}"
        with open_run(
            run,
            run / "cache",
            self.feed.learned,
            {"seed": SEED, **asdict(Recipe())},
            threads=self.threads,
            on_progress=self.bars.show,
            on_message=self.bars.say,
        ) as opened:
            fine_tune(opened, architecture, weights, Recipe(), self.folder)
        (tuned,) = (one for one in self._library.specs() if one.fingerprint not in before)
        yield from self._exported(architecture.name, "fine-tuned", tuned)

    @property
    def _library(self) -> EncoderLibrary:
        return EncoderLibrary(AUTO, None, self.folder)

    def _exported(self, network: str, how: str, spec: EncoderSpec) -> Iterator[Row]:
        """The network in float32 and in int8, whatever an export would refuse."""
        for precision in Precision:
            made = export_encoder(
                self._library,
                spec.label,
                self.folder,
                precision,
                self.feed.learned,
                threads=self.threads,
                on_progress=self.bars.show,
            )
            encoder = open_encoder(self._library, made.package.spec, self.threads)
            yield from as_is_and_adapted(network, how, encoder, self.feed, self.bars)


def embedded(encoder: Encoder, photos: LabelledPhotos, bars: Bars) -> Floats:
    """Unit vectors (n, dimension) of all photos."""
    blocks = []
    for start in range(0, len(photos), BATCH):
        rows = range(start, min(start + BATCH, len(photos)))
        blocks.append(encoder.embed([decode(photos.read(row)) for row in rows]))
        bars.show(encoder.spec.label, rows.stop, len(photos))
    return np.concatenate(blocks)


def photos_per_second(rows: list[Row], feed: Feed) -> dict[str, float]:
    """Photos a second of each encoder by its fingerprint: the best of rounds in turns."""
    batch = [decode(feed.tested.read(row)) for row in range(BATCH)]
    encoders = {row.encoder.spec.fingerprint: row.encoder for row in rows}
    best = dict.fromkeys(encoders, float("inf"))
    for encoder in encoders.values():
        encoder.embed(batch)
    for _ in range(ROUNDS):
        for name, encoder in encoders.items():
            begun = perf_counter()
            encoder.embed(batch)
            best[name] = min(best[name], perf_counter() - begun)
    return {name: len(batch) / seconds for name, seconds in best.items()}


def measured(rows: list[Row], feed: Feed, speeds: Mapping[str, float]) -> list[Figures]:
    """The figures of each row."""
    figures = []
    base = rows[0]
    for row in rows:
        if row.network != base.network:
            base = row
        pair = {base.spec: base.vectors, row.spec: row.vectors}
        found = compare(pair, feed.tested, seed=SEED).metrics
        figures.append(
            Figures(
                row.network,
                row.precision,
                row.kind,
                speeds[row.encoder.spec.fingerprint],
                row.vectors.shape[1] * BYTES_A_NUMBER,
                {name: found[name].micro[-1] for name in SHOWN},
                {name: None if row is base else found[name].to_first[0] for name in SHOWN},
            )
        )
    return figures


def table(figures: list[Figures], feed: Feed) -> Table:
    """The figures for people."""
    title = f"{len(feed.learned):,} photos teach, {len(feed.tested):,} test"
    shown = Table(title=title, title_justify="left")
    for name in ("network", "precision", "kind"):
        shown.add_column(name)
    for name in ("P@1", "P@10", "mAP", "recall@1", "recall@10", "photos/s", "bytes"):
        shown.add_column(name, justify="right")
    for row in figures:
        cells = [_cell(row.metrics[name], row.gains[name]) for name in SHOWN]
        shown.add_row(
            row.network, row.precision, row.kind, *cells, f"{row.photos_per_s:.0f}", str(row.bytes)
        )
    return shown


def _cell(metric: Estimate, gain: Estimate | None) -> str:
    if gain is None:
        return f"{metric.value:.3f}\n({metric.low:.3f} … {metric.high:.3f})"
    return f"{metric.value:.3f}\n{gain.value:+.3f} ({gain.low:+.3f} … {gain.high:+.3f})"


if __name__ == "__main__":
    typer.run(main)
