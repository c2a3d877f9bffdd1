"""`marketlens encoder export`: a network made for the processors it is served by."""

import json
import os
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table

from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import InvalidInput, InvalidPhoto
from models.domain.types import Precision
from models.encoders.export import Export, ExportOptions, export_encoder
from models.encoders.library import EncoderLibrary
from models.labels import LabelledPhotos, Level
from models.photos import standardise
from progress import Bars
from settings import Settings
from workers.commands.labelled_photos import (
    is_cleaned_folder,
    labelled_in_database,
    labelled_in_folder,
)

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


def run_export(
    reference: str | None,
    settings: Settings,
    precision: Precision,
    folder: Path | None,
    *,
    calibration_photos: int,
    seed: int,
    json_report: bool,
) -> None:
    """Export an encoder and tell how it compares. Raises what `export_encoder` raises."""
    started = monotonic()
    reference = reference or settings.encoder
    library = EncoderLibrary(settings.encoder, settings.weights, settings.models_dir)
    with (
        closing(Database(settings.sqlalchemy_url)) as database,
        Bars(Console(stderr=True)) as bars,
    ):
        photos = photos_of(folder, database, PhotoStore(settings.photo_store_url))
        export = export_encoder(
            library.holding(reference),
            reference,
            settings.models_dir,
            precision,
            photos,
            options=ExportOptions(calibration_photos, seed),
            threads=settings.threads or len(os.sched_getaffinity(0)),
            on_progress=bars.show,
        )
    seconds = monotonic() - started
    Console(stderr=json_report).print(table(export, seconds))
    if json_report:
        print(json.dumps(report(export, seconds)))  # noqa: T201 - what --json promises


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
    """The figures for a person."""
    spec, close = export.package.spec, export.fidelity
    shown = Table(title=f"Exported {spec.label} in {seconds:.0f} s", show_header=False)
    shown.add_row("photos/s, torch", f"{export.torch_speed:.1f}")
    shown.add_row("photos/s, exported", f"{export.speed:.1f}")
    shown.add_row("faster", f"{export.speed / export.torch_speed:.2f} times")
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
    shown.add_row("in", str(export.package.folder))
    shown.caption = f"`marketlens encoder migrate {spec.label}` changes to it."
    return shown


def report(export: Export, seconds: float) -> dict[str, Any]:
    """The figures for a program."""
    spec = export.package.spec
    return {
        "encoder": spec.label,
        "fingerprint": spec.fingerprint,
        "precision": spec.precision,
        "folder": str(export.package.folder),
        "photos_per_s": {"torch": export.torch_speed, "exported": export.speed},
        "fidelity": export.fidelity.facts(),
        "seconds": round(seconds, 1),
    }
