"""`marketlens adapt`: what the catalogue's categories teach about its vectors, in seconds."""

import json
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from command_line.exit_codes import AlreadyReported
from command_line.options import Inline, JsonReport, command_of, force_option
from command_line.resources import check_database_exists, database_of, library_of, store_of
from models.domain.clock import utc_now
from models.domain.errors import Conflict
from models.evaluation.page import as_page
from models.evaluation.summary import as_json, as_tables
from progress import Bars
from settings import Settings
from workers.commands.encoder.migrate import migration_json, migration_table
from workers.commands.job_executor import job_executor
from workers.commands.report_page import write_page
from workers.encoders.adapting import Adapted, adapt_encoder
from workers.encoders.derivation import derivation_of
from workers.encoders.migration import Migrated, Migration, activate_migrated


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptOptions:
    """The options of the command."""

    activate: Annotated[
        bool,
        typer.Option(
            "--activate/--no-activate", help="Change searches to it; or only learn and keep it."
        ),
    ] = True
    html: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write a page of figures and queries to this file."),
    ] = None
    force: Annotated[bool, force_option("Even if the trial finds that it is no better.")] = False
    inline: Inline = False
    json_report: JsonReport = False


@command_of(AdaptOptions)
def adapt(options: AdaptOptions) -> None:
    """Learn from categories what makes photos alike, try it, and search with it: in seconds.

    Learned from stored vectors, and applied to them: no photo is embedded again. It is measured on
    listings that it has not learned from, and refused if it finds less. `encoder rollback` returns
    to the encoder before.
    """
    started = monotonic()
    settings = Settings()
    check_database_exists(settings)
    library = library_of(settings)
    migrated = refusal = None
    with Bars() as bars, database_of(settings) as database:
        adapted = adapt_encoder(
            database,
            store_of(settings),
            library,
            on_progress=bars.show,
            force=options.force,
        )
        if options.html is not None:
            write_page(options.html, as_page(adapted.trial.comparison, adapted.tested))
        if adapted.package is not None and options.activate:
            with job_executor(database, settings, bars.say, inline=options.inline) as executor:
                migration = Migration(
                    database, executor, clock=database.now, new_id=uuid4, on_progress=bars.show
                )
                spec = adapted.package.spec
                migrated = migration.run(spec, derivation_of(library, spec))
            refusal = activate_migrated(database, migrated, utc_now(), force=options.force)
    seconds = monotonic() - started
    _report(options, adapted, migrated, seconds, refusal)
    if adapted.package is None:
        raise AlreadyReported from Conflict(f"The adaptation is refused: {adapted.trial.refusal}")
    if refusal:
        raise AlreadyReported from Conflict(refusal)


def _report(
    options: AdaptOptions,
    adapted: Adapted,
    migrated: Migrated | None,
    seconds: float,
    refusal: str | None,
) -> None:
    is_active = migrated is not None and refusal is None
    package, trial = adapted.package, adapted.trial
    if options.json_report:
        report = {
            "encoder": package and package.spec.label,
            "refusal": refusal or trial.refusal,
            "trial": as_json(trial.comparison),
            "migration": migrated
            and migration_json(migrated, seconds, is_active=is_active, refusal=refusal),
            "seconds": round(seconds, 2),
        }
        typer.echo(json.dumps(report))
        return
    console = Console()
    console.print(as_tables(trial.comparison))
    if migrated is not None:
        console.print(migration_table(migrated, seconds, is_active=is_active))
    elif package is not None:
        typer.echo(f"{package.spec.label} is kept: `marketlens encoder migrate` changes to it.")
