"""`marketlens evaluate encoders`: the retrieval metrics of encoders, side by side."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from command_line.options import JsonReport, command_of
from command_line.resources import library_of, threads_of
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder
from models.encoders.library import EncoderLibrary
from models.encoders.runtimes import open_encoder
from models.evaluation.compare import compare, distinct_photos
from models.evaluation.page import as_page
from models.evaluation.summary import as_json, as_tables
from models.labels import LabelledPhotos, Level
from models.training.data.features import features, unit_vectors
from models.training.data.split import Part, load_split
from progress import Bars
from settings import Settings
from workers.commands.default_encoder import active_or_configured, stored_vectors
from workers.commands.labelled_photos import labelled_photos
from workers.commands.report_page import write_page


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """The options of the command."""

    encoders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENCODER",
            help="Labels or fingerprints, or how they begin; or files of weights. "
            "The active one by default.",
        ),
    ] = None
    data: Annotated[
        Path | None, typer.Option(help="A folder that `clean` wrote; the database by default.")
    ] = None
    level: Annotated[
        Level, typer.Option(help="How deep in the category tree a hit must agree.")
    ] = Level.ROOT
    split: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A training's split.json: only its test listings, which it has not learned from.",
        ),
    ] = None
    queries: Annotated[
        int | None, typer.Option(min=1, help="At most so many queries, drawn; all by default.")
    ] = None
    html: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write a page of figures and queries to this file."),
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Draws queries and held-out views.")] = 0
    json_report: JsonReport = False


@command_of(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Measure how well encoders find photos of a query's category, and its own listing."""
    settings, html = Settings(), options.html
    with Bars() as bars:
        download = partial(bars.show, "download", in_bytes=True)
        opened = _open(options.encoders or [], settings, download)
        photos = distinct_photos(_photos(options, settings))
        cache = settings.data_dir / "features"
        with stored_vectors(settings) as stored:
            vectors = {
                spec: unit_vectors(
                    features(photos, encoder, cache, partial(bars.show, spec.label), stored),
                    photos,
                )
                for spec, encoder in opened.items()
            }
        comparison = compare(
            vectors,
            photos,
            queries=options.queries,
            seed=options.seed,
            on_progress=partial(bars.show, "searching"),
        )
        if html is not None:
            write_page(html, as_page(comparison, photos))
    if options.json_report:
        typer.echo(json.dumps({"level": options.level.value, **as_json(comparison)}))
    else:
        Console().print(as_tables(comparison))
    if html is not None:
        typer.echo(f"{html} shows queries and what was found.", err=True)


def _open(
    references: Sequence[str], settings: Settings, on_progress: Callable[[int, int], None]
) -> dict[EncoderSpec, Encoder]:
    """The encoders; the active one by default. Raises NotFound and WeightsError."""
    library, threads = library_of(settings), threads_of(settings)
    if not references:
        # Not loaded: its vectors may all be stored.
        spec = active_or_configured(settings, on_progress)
        return {spec: open_encoder(library, spec, threads)}
    opened = {}
    for reference in references:
        encoder = _find(reference, library, threads)
        encoder.load()
        opened[encoder.spec] = encoder
    return opened


def _find(reference: str, library: EncoderLibrary, threads: int) -> Encoder:
    library = library.including(reference)
    return open_encoder(library, library.find(reference), threads)


def _photos(options: EvaluateOptions, settings: Settings) -> LabelledPhotos:
    photos = labelled_photos(options.data, options.level, settings)
    if options.split is None:
        return photos
    return photos.take(load_split(options.split, photos).rows(photos, Part.TEST))
