"""`marketlens retention`."""

import json
from dataclasses import asdict, dataclass
from threading import Event
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from command_line.options import DryRun, JsonReport, command_of, force_option
from command_line.resources import check_database_exists, database_of, store_of
from db.retention.amounts import Amount
from db.retention.erasures import ErasureKind
from progress import Bars
from settings import Settings
from workers.commands.retention.setup import retention_of
from workers.retention import files
from workers.retention.kinds import EXPLANATIONS, Kind
from workers.retention.report import due
from workers.retention.run import EVERY_S
from workers.retention.sqlite_file import rewrite_file

REST_S: Final = 0.05
SHARE: Final = 0.5
"""More than the relay's: somebody waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionOptions:
    """The options of the command."""

    dry_run: DryRun = False
    json_report: JsonReport = False
    force: Annotated[
        bool, force_option("Take the photo store for this database's, whatever is in it.")
    ] = False
    vacuum: Annotated[
        bool,
        typer.Option(
            "--vacuum",
            help="Write a SQLite database's file anew, as small as it can be. Others can't write "
            "meanwhile.",
        ),
    ] = False


@command_of(RetentionOptions)
def retention(options: RetentionOptions) -> None:
    """Remove what has had its time, or say what would be. The relay does it all the time."""
    settings = Settings()
    check_database_exists(settings)
    store = store_of(settings)
    amounts: dict[Kind, Amount] = {}
    with Bars() as bars, database_of(settings) as database:
        work = retention_of(settings, database, database.now, Event(), rest_s=REST_S, share=SHARE)
        if options.force and not options.dry_run:
            files.is_of_this_deployment(database, store, force=True)
        for kind in EVERY_S:
            amounts[kind] = due(work, kind)
            bars.show("looking", len(amounts), len(EVERY_S))
        if not options.dry_run:
            for done, kind in enumerate(EVERY_S, start=1):
                amounts[kind] = Amount(work.remove(kind), amounts[kind].bytes)
                bars.show("removing", done, len(EVERY_S))
            work.finish(tuple(ErasureKind), clean=True, rewrite=options.vacuum)
            if options.vacuum:
                rewrite_file(work.pace)
    if options.json_report:
        removed = {kind.value: asdict(amount) for kind, amount in amounts.items()}
        typer.echo(json.dumps({"dry_run": options.dry_run, "removed": removed}))
    else:
        Console().print(_table(amounts, dry_run=options.dry_run))


def _table(amounts: dict[Kind, Amount], *, dry_run: bool) -> Table:
    table = Table("Would leave" if dry_run else "Left", "About", "What")
    for kind, amount in amounts.items():
        if amount.count:
            table.add_row(f"{amount.count:,}", decimal(amount.bytes), EXPLANATIONS[kind])
    if not table.rows:
        table.add_row("0", "", "Nothing has had its time.")
    return table
