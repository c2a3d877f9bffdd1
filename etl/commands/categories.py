"""`marketlens categories export`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from command_line.options import DryRun, JsonReport, command_of
from command_line.resources import check_database_exists, database_of
from db.catalogue.categories import export_categories
from models.domain.durable_files import write_if_changed
from settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of the command."""

    file: Annotated[
        Path | None, typer.Argument(help="Where to write it; standard output if none.")
    ] = None
    dry_run: DryRun = False
    json_report: JsonReport = False


@command_of(ExportOptions)
def export(options: ExportOptions) -> None:
    """Write the categories' integers as JSON: a dictionary both ways."""
    settings = Settings()
    check_database_exists(settings)
    with database_of(settings) as database, database.read() as session:
        exported = export_categories(session)
    text = json.dumps(exported, indent=2, ensure_ascii=False) + "\n"
    if options.file is None:
        json_report = options.json_report
        typer.echo(json.dumps(exported) if json_report else text, nl=json_report)
        return
    if not options.dry_run:
        write_if_changed(options.file, text)
    if options.json_report:
        typer.echo(json.dumps({"categories": len(exported["ids"])}))
    else:
        verb = "would be" if options.dry_run else "are"
        typer.echo(f"{len(exported['ids']):,} categories {verb} in {options.file}.")
