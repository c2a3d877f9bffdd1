"""`marketlens encoder export`: an encoder's network, exported for faster inference."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from command_line.options import JsonReport, command_of, force_option
from command_line.resources import database_of, library_of, store_of, threads_of
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import InvalidInput, InvalidPhoto
from models.domain.types import Precision
from models.encoders.export import CALIBRATION_PHOTOS, Export, export_encoder
from models.encoders.export import ExportOptions as Calibration
from models.labels import LabelledPhotos, Level
from models.photo_decoding import standardise
from progress import Bars
from settings import Settings
from workers.commands.default_encoder import active_or_configured
from workers.commands.labelled_photos import (
    is_cleaned_folder,
    labelled_in_database,
    labelled_in_folder,
)

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of the command."""

    reference: Annotated[
        str | None,
        typer.Argument(
            help="A label or fingerprint, or how one begins; or a file of weights. "
            "The active encoder by default."
        ),
    ] = None
    precision: Annotated[
        Precision, typer.Option(help="int8 is the fastest, and an encoder of its own.")
    ] = Precision.INT8
    calibrate: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="A folder of photos, or one that `clean` wrote; the catalogue by default.",
        ),
    ] = None
    photos: Annotated[int, typer.Option(min=16, help="Photos to calibrate with.")] = (
        CALIBRATION_PHOTOS
    )
    seed: Annotated[int, typer.Option(min=0, help="Draws the photos.")] = 0
    force: Annotated[bool, force_option("Even if it is slower, or finds less of a category.")] = (
        False
    )
    json_report: JsonReport = False


@command_of(ExportOptions)
def export(options: ExportOptions) -> None:
    """Export a faster network of an encoder, and compare the two; a worse one is refused."""
    started = monotonic()
    settings = Settings()
    with database_of(settings) as database, Bars() as bars:
        reference = options.reference or _active(settings, bars)
        photos = photos_of(options.calibrate, database, store_of(settings))
        exported = export_encoder(
            library_of(settings).including(reference),
            reference,
            settings.models_dir,
            options.precision,
            photos,
            options=Calibration(options.photos, options.seed, must_be_better=not options.force),
            threads=threads_of(settings),
            on_progress=bars.show,
        )
    seconds = monotonic() - started
    Console(stderr=options.json_report).print(table(exported, seconds))
    if options.json_report:
        typer.echo(json.dumps(report(exported, seconds)))


def _active(settings: Settings, bars: Bars) -> str:
    on_progress = partial(bars.show, "weights", in_bytes=True)
    return active_or_configured(settings, on_progress).fingerprint


def photos_of(folder: Path | None, database: Database, store: PhotoStore) -> LabelledPhotos:
    """The photos of a cleaned folder, of any other folder, or of the catalogue.

    Raises InvalidInput when there are none.
    """
    if folder is None:
        return labelled_in_database(database, store, Level.SUB)
    if is_cleaned_folder(folder):
        return labelled_in_folder(folder, Level.SUB)
    files = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    if not files:
        raise InvalidInput(f"There are no photos in {folder}.")
    names = tuple(files)
    return LabelledPhotos(names, names, ("",) * len(names), _standard)


def _standard(file: str) -> bytes:
    try:
        return standardise(Path(file).read_bytes()).data
    except InvalidInput as error:
        raise InvalidPhoto(f"{file}: {error}") from error


def table(export: Export, seconds: float) -> Table:
    """The export's measurements as a table."""
    spec, close = export.package.spec, export.fidelity
    shown = Table(title=f"Exported {spec.label} in {seconds:.0f} s", show_header=False)
    shown.add_row("photos/s, its source", f"{export.source_speed:.1f}")
    shown.add_row("photos/s, exported", f"{export.speed:.1f}")
    shown.add_row("faster", f"{export.speed / export.source_speed:.2f} times")
    shown.add_row(
        f"cosine to float32, {close.photos:,} photos",
        f"mean {close.cosine_mean:.4f}, least {close.cosine_min:.4f}",
    )
    if close.reference is not None and close.exported is not None:
        shown.add_row(
            "precision@1, before and after",
            f"{close.reference.precision_at_1:.3f}, {close.exported.precision_at_1:.3f}",
        )
        shown.add_row(
            "mAP, before and after",
            f"{close.reference.mean_average_precision:.3f}, "
            f"{close.exported.mean_average_precision:.3f}",
        )
    shown.add_row("in", escape(str(export.package.folder)))
    shown.caption = f"`marketlens encoder migrate {spec.label}` changes to it."
    return shown


def report(export: Export, seconds: float) -> dict[str, object]:
    """The export's measurements as JSON values."""
    spec = export.package.spec
    return {
        "encoder": spec.label,
        "fingerprint": spec.fingerprint,
        "precision": spec.precision,
        "folder": str(export.package.folder),
        "photos_per_s": {"source": export.source_speed, "exported": export.speed},
        "fidelity": export.fidelity.facts(),
        "seconds": round(seconds, 1),
    }
