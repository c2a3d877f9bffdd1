"""`marketlens fetch`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from command_line.options import DryRun, JsonReport, command_of
from etl.commands.intake import Source
from etl.commands.peak_memory import PeakMemory
from etl.fetch.transfer import fetch as fetch_feed
from models.domain.urls import redact
from progress import Bars


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """The options of the command."""

    source: Source
    folder: Annotated[Path, typer.Argument(help="Where to put it.")]
    dry_run: DryRun = False
    json_report: JsonReport = False


@command_of(FetchOptions)
def fetch(options: FetchOptions) -> None:
    """Copy a feed from wherever it is. Run again, it goes on, and fetches only what is new."""
    started = monotonic()
    with Bars() as bars, PeakMemory() as peak:
        fetched = fetch_feed(
            options.source,
            options.folder,
            dry_run=options.dry_run,
            on_progress=lambda done, total: bars.show("fetching", done, total, in_bytes=True),
        )
    seconds = monotonic() - started
    if options.json_report:
        cost = {"seconds": round(seconds, 2), "peak_mb": round(peak.mb, 1)}
        typer.echo(json.dumps(asdict(fetched) | cost))
        return
    table = Table(
        title="Would be fetched" if options.dry_run else "Fetched",
        title_justify="left",
        show_header=False,
    )
    table.add_row("From", redact(options.source))
    table.add_row("Files", f"{fetched.found:,} found, {fetched.fetched:,} copied")
    table.add_row("Unchanged", f"{fetched.unchanged:,}")
    table.add_row("Bytes", f"{fetched.bytes:,}, {fetched.bytes / seconds / 1e6:,.1f} MB/s")
    table.add_row("Time", f"{seconds:.1f} s")
    Console().print(table)
