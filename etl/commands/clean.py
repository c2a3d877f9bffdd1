"""`marketlens clean`."""

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Annotated

import typer

from command_line.options import DryRun, JsonReport, command_of
from db.store.photo_store import PhotoStore
from etl.clean.currencies import checked_home_currency
from etl.commands.intake import (
    AttributeNames,
    Refetch,
    Source,
    attribute_names,
    exclusive_folder,
    local_feed,
    named,
    photo_urls,
    print_report,
)
from etl.commands.peak_memory import PeakMemory
from etl.load.cleaned_feed import CleanedFolder, CleanedWriter
from etl.load.pipeline import Stage, run_intake
from etl.load.sources import IntakeContext
from etl.report import Cost, IntakeReport, as_json
from models.cleaned_feed import PHOTO_FOLDER, REJECTS_FILE, REPORT_FILE
from models.domain.durable_files import write_if_changed
from models.domain.errors import ExitCode, InvalidFeed
from progress import Bars
from settings import Settings

WORK_FOLDER = ".work"


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanOptions:
    """The options of the command."""

    source: Source
    folder: Annotated[Path, typer.Argument(help="Where to write Parquet files and photos.")]
    feed: Annotated[
        str | None, typer.Option(help="The feed's name, for ids; that of its folder if none.")
    ] = None
    attributes: AttributeNames = None
    refetch: Refetch = False
    dry_run: DryRun = False
    json_report: JsonReport = False


@command_of(CleanOptions)
def clean(options: CleanOptions) -> ExitCode:
    """Clean a feed into a folder that `seed` takes in, here or on another machine."""
    started = monotonic()
    settings, out, dry_run = Settings(), options.folder, options.dry_run
    feed = named(options.feed, options.source)
    checked_home_currency(settings.currency)
    with Bars() as bars, PeakMemory() as peak, ExitStack() as stack:
        folder = stack.enter_context(
            local_feed(options.source, out / WORK_FOLDER / "feed", bars, dry_run=dry_run)
        )
        if out.resolve() == (folder.parent if folder.is_file() else folder).resolve():
            raise InvalidFeed("A feed can't be cleaned into its own folder.")
        if CleanedFolder(folder).exists():
            raise InvalidFeed(f"{folder} holds a feed that is clean already.")
        # A dry run cleans as well, but into a temporary folder.
        if dry_run:
            into = Path(stack.enter_context(TemporaryDirectory(prefix="marketlens-")))
        else:
            into = out
        work = stack.enter_context(exclusive_folder(into / WORK_FOLDER))
        context = IntakeContext(
            scratch=work,
            ledger=work / "photos.db",
            rejects=into / REJECTS_FILE,
            store=None if dry_run else PhotoStore(into / PHOTO_FOLDER),
            max_photo_bytes=settings.max_upload_bytes,
            processes=len(os.sched_getaffinity(0)),
            feed=feed,
            currency=settings.currency,
            attributes=attribute_names(options.attributes),
            urls=stack.enter_context(photo_urls(settings)),
            refetch=options.refetch,
        )
        report = run_intake(
            folder,
            CleanedWriter(into, work),
            context,
            locate=dict.fromkeys,
            on_progress=lambda stage, done, total: bars.show(
                stage, done, total, in_bytes=stage is Stage.TABLES
            ),
        )
        cost = Cost(monotonic() - started, peak.mb)
        values = _as_json(report, cost)
        if not dry_run:
            write_if_changed(into / REPORT_FILE, json.dumps(values, indent=2) + "\n")
    return print_report(
        report,
        cost,
        title="Would be cleaned" if dry_run else "Cleaned",
        lines={},
        rejects=None if dry_run else out / REJECTS_FILE,
        problems=[],
        json_report=values if options.json_report else None,
    )


def _as_json(report: IntakeReport, cost: Cost) -> dict[str, object]:
    written = {
        "listings": report.products.accepted,
        "photos": report.photos.accepted,
        "categories": report.categories.root + report.categories.sub,
    }
    return as_json(report, written, cost)
