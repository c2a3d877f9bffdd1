"""`marketlens encoder migrate`."""

import json
from dataclasses import dataclass
from time import monotonic
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from command_line.exit_codes import AlreadyReported
from command_line.options import Inline, JsonReport, command_of, force_option
from command_line.resources import database_of, library_of
from models.domain.clock import utc_now
from models.domain.errors import Conflict
from models.evaluation.intervals import Estimate
from progress import Bars
from settings import Settings
from workers.commands.arguments import EncoderReference
from workers.commands.job_executor import job_executor
from workers.encoders.comparison import Comparison
from workers.encoders.derivation import derivation_of
from workers.encoders.install import install_encoder
from workers.encoders.migration import Migrated, Migration, activate_migrated


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateOptions:
    """The options of the command."""

    reference: EncoderReference
    activate: Annotated[
        bool, typer.Option("--activate/--no-activate", help="Search with it in the end.")
    ] = True
    force: Annotated[
        bool, force_option("Activate it even if it finds less, or photos are lacking.")
    ] = False
    inline: Inline = False
    json_report: JsonReport = False


@command_of(MigrateOptions)
def migrate(options: MigrateOptions) -> None:
    """Change to another encoder while searches go on: embed, index, compare, then activate.

    Run again after an interruption, it goes on. The previous encoder stays up to date: `rollback`
    returns to it, `retire` ends its updates.
    """
    started = monotonic()
    settings = Settings()
    library = library_of(settings)
    spec = install_encoder(library, options.reference, settings.models_dir)
    with (
        Bars() as bars,
        database_of(settings) as database,
        job_executor(database, settings, bars.say, inline=options.inline) as executor,
    ):
        migration = Migration(
            database,
            executor,
            clock=database.now,
            new_id=uuid4,
            on_progress=bars.show,
        )
        migrated = migration.run(spec, derivation_of(library, spec))
        refusal = (
            activate_migrated(database, migrated, utc_now(), force=options.force)
            if options.activate
            else None
        )
    is_active = options.activate and refusal is None
    seconds = monotonic() - started
    if options.json_report:
        typer.echo(
            json.dumps(migration_json(migrated, seconds, is_active=is_active, refusal=refusal))
        )
    else:
        Console().print(migration_table(migrated, seconds, is_active=is_active))
    if refusal:
        raise AlreadyReported from Conflict(refusal)


def migration_json(
    migrated: Migrated, seconds: float, *, is_active: bool, refusal: str | None
) -> dict[str, object]:
    """The migration as JSON values."""
    return {
        "encoder": migrated.encoder.spec.label,
        "baseline": migrated.baseline and migrated.baseline.spec.label,
        "embedded": migrated.embedded,
        "failed": migrated.failed,
        "generation": migrated.generation.id,
        "comparison": migrated.comparison and migrated.comparison.to_json(),
        "activated": is_active,
        "refusal": refusal,
        "seconds": round(seconds, 2),
    }


def migration_table(migrated: Migrated, seconds: float, *, is_active: bool) -> Table:
    """The migration as a table."""
    label = migrated.encoder.spec.label
    table = Table(title=f"Migration to {label}", title_justify="left", show_header=False)
    if migrated.baseline:
        table.add_row("From", migrated.baseline.spec.label)
    table.add_row("Embedded", f"{migrated.embedded:,} photos, {migrated.failed:,} could not be")
    table.add_row(
        "Index", f"generation {migrated.generation.id}, {migrated.generation.rows:,} rows"
    )
    if migrated.comparison:
        for name, text in _compared(migrated.comparison).items():
            table.add_row(name, text)
    table.add_row("Active", "yes" if is_active else "no")
    table.add_row("Time", f"{seconds:.1f} s")
    return table


def _compared(compared: Comparison) -> dict[str, str]:
    lines = {
        "Compared": f"{compared.queries:,} searches among {compared.photos:,} photos",
        "Overlap@10": f"{compared.overlap_at_10:.0%}",
    }
    if compared.precision_at_1 and compared.baseline_precision_at_1 and compared.difference:
        lines["Precision@1"] = _shown(compared.precision_at_1)
        lines["Before"] = _shown(compared.baseline_precision_at_1)
        lines["Difference"] = _shown(compared.difference)
    return lines


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} … {estimate.high:.3f})"
