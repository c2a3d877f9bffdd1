"""`marketlens events import`."""

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.table import Table

from command_line.options import DryRun, JsonReport, command_of
from command_line.resources import check_database_exists, database_of
from db.events.history import last_event
from db.session import Database
from etl.clean.rejects import Rejects
from etl.clean.uuids import Ids
from etl.commands.intake import named
from etl.events.importing import EventImport, Imported
from etl.events.reading import read_events
from etl.report import as_counted, reasons_table
from models.domain.clock import utc_now
from models.domain.errors import ExitCode
from progress import Bars
from settings import Settings

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The options of the command."""

    file: Annotated[
        str,
        typer.Argument(
            help="CSV or NDJSON, in UTF-8; `-` is standard input. Columns: event_id (made from the"
            " row if none), user, type, listing_id, at, search_id, position."
        ),
    ]
    feed: Annotated[
        str | None,
        typer.Option(help="The feed whose own ids listing_id has, where it is no UUID."),
    ] = None
    dry_run: DryRun = False
    json_report: JsonReport = False


@command_of(ImportOptions)
def import_events(options: ImportOptions) -> ExitCode:
    """Store the events of a file. Run again, it stores only those that are not stored yet."""
    settings = Settings()
    check_database_exists(settings)
    started = monotonic()
    ids = Ids(None if options.feed is None else named(options.feed, ""))
    report = settings.data_dir / "reports" / "events-rejects.csv"
    with Bars() as bars, ExitStack() as stack:
        database = stack.enter_context(database_of(settings))
        _check_answers(database)
        stream, size = stack.enter_context(_opened(options.file))
        name = "standard input" if options.file == STDIN else Path(options.file).name
        table = read_events(stream, name)
        rejects = stack.enter_context(Rejects(None if options.dry_run else report))
        importing = EventImport(
            database=None if options.dry_run else database,
            rejects=rejects,
            file=name,
            ids=ids,
            kept=timedelta(days=settings.events_kept_days),
            clock=utc_now,
        )

        def on_batch(imported: Imported) -> None:
            if size:
                bars.show("events", stream.tell(), size, in_bytes=True)
            else:
                bars.show("events", imported.read, imported.read)

        imported = importing.run(table.rows, on_batch)
        rejects.finish()
    return _print_report(options, imported, rejects, table.ignored, report, monotonic() - started)


def _check_answers(database: Database) -> None:
    """Raise what is wrong with the database before anything is read of a stream."""
    with database.read() as session:
        last_event(session)


@contextmanager
def _opened(file: str) -> Generator[tuple[BinaryIO, int]]:
    """The bytes of a file, and how many there are; 0 of standard input."""
    if file == STDIN:
        yield sys.stdin.buffer, 0
        return
    path = Path(file)
    with path.open("rb") as stream:
        yield stream, path.stat().st_size


def _print_report(
    options: ImportOptions,
    imported: Imported,
    rejects: Rejects,
    ignored: Sequence[str],
    report: Path,
    seconds: float,
) -> ExitCode:
    notes = [f"The column {column!r} is not read." for column in ignored]
    for note in notes:
        typer.echo(note, err=True)
    if options.json_report:
        counted = {"reasons": as_counted(rejects.reasons), "notes": notes}
        typer.echo(json.dumps({**asdict(imported), **counted, "seconds": round(seconds, 2)}))
    else:
        title = "Would be imported" if options.dry_run else "Imported"
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_row("Rows", f"{imported.read:,} read, {imported.rejected:,} rejected")
        if not options.dry_run:
            table.add_row("Events", f"{imported.stored:,} stored")
            table.add_row("", f"{imported.duplicates:,} were stored before, or are twice in it")
        rate = imported.read / seconds
        table.add_row("Time", f"{seconds:.1f} s, {rate:,.0f} rows a second")
        console = Console()
        console.print(table)
        if imported.rejected:
            console.print(reasons_table(rejects.reasons, "Rejected"))
            if not options.dry_run:
                typer.echo(f"Each rejected row is in {report}.")
    return ExitCode.LOOK_AT_IT if imported.rejected else ExitCode.DONE
