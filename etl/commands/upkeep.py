"""`marketlens fetch` and `marketlens categories export`."""

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

from db.catalogue.categories import export_categories
from db.session import Database
from etl.commands.peak_memory import PeakMemory
from etl.fetch.transfer import fetch
from models.domain.durable_files import write_if_changed
from models.domain.errors import SetupError
from models.domain.urls import redact
from progress import Bars
from settings import Settings


def run_fetch(source: str, folder: Path, bars: Bars, *, dry_run: bool, json_report: bool) -> None:
    """Copy a feed, and tell how much there was to copy."""
    started = monotonic()
    with PeakMemory() as peak:
        fetched = fetch(
            source,
            folder,
            dry_run=dry_run,
            on_progress=lambda done, total: bars.show("fetching", done, total, in_bytes=True),
        )
    seconds = monotonic() - started
    if json_report:
        cost = {"seconds": round(seconds, 2), "peak_mb": round(peak.mb, 1)}
        typer.echo(json.dumps(asdict(fetched) | cost))
        return
    table = Table(
        title="Would be fetched" if dry_run else "Fetched", title_justify="left", show_header=False
    )
    table.add_row("From", redact(source))
    table.add_row("Files", f"{fetched.found:,} found, {fetched.fetched:,} copied")
    table.add_row("Unchanged", f"{fetched.unchanged:,}")
    table.add_row("Bytes", f"{fetched.bytes:,}, {fetched.bytes / seconds / 1e6:,.1f} MB/s")
    table.add_row("Time", f"{seconds:.1f} s")
    Console().print(table)


def run_export(file: Path | None, settings: Settings, *, dry_run: bool, json_report: bool) -> None:
    """Write the categories' integers into a file, or print them."""
    _check_there_is_one(settings)
    with closing(Database(settings.sqlalchemy_url)) as database, database.read() as session:
        exported = export_categories(session)
    text = json.dumps(exported, indent=2, ensure_ascii=False) + "\n"
    if file is None:
        typer.echo(json.dumps(exported) if json_report else text, nl=json_report)
        return
    if not dry_run:
        write_if_changed(file, text)
    if json_report:
        typer.echo(json.dumps({"categories": len(exported["ids"])}))
    else:
        verb = "would be" if dry_run else "are"
        typer.echo(f"{len(exported['ids']):,} categories {verb} in {file}.")


def _check_there_is_one(settings: Settings) -> None:
    """Raise SetupError where SQLite would make an empty database to look into."""
    url = make_url(settings.sqlalchemy_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise SetupError("There is no database yet: run `marketlens migrate`, or seed a feed.")
