"""`marketlens index activate` and `marketlens index rollback`."""

import json
from dataclasses import dataclass

import typer

from command_line.opened import database_of
from command_line.options import JsonReport, command_of
from db.tables import Generation
from db.vectors import generations
from models.domain.clock import utc_now
from models.domain.errors import Conflict
from settings import Settings
from workers.commands.arguments import GenerationId, OfEncoder, encoder_of_index


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateOptions:
    """The options of `activate`."""

    generation_id: GenerationId
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOptions:
    """The options of `rollback`."""

    encoder: OfEncoder = None
    json_report: JsonReport = False


@command_of(ActivateOptions)
def activate(options: ActivateOptions) -> None:
    """Search with a generation that is kept, from the next search on."""
    with database_of(Settings()) as database, database.write() as session:
        row = generations.switch_to(session, options.generation_id, utc_now())
    _report_live(row, json_report=options.json_report)


@command_of(RollbackOptions)
def rollback(options: RollbackOptions) -> None:
    """Search with the generation that was live before."""
    with database_of(Settings()) as database, database.write() as session:
        row = generations.previous(session, encoder_of_index(session, options.encoder).id)
        if row is None:
            raise Conflict("No generation that was live before is kept.")
        generations.switch_to(session, row.id, utc_now())
    _report_live(row, json_report=options.json_report)


def _report_live(row: Generation, *, json_report: bool) -> None:
    if json_report:
        typer.echo(json.dumps({"generation": row.id, "status": row.status.value}))
        return
    typer.echo(f"Searches go on with generation {row.id}; `marketlens index rollback` undoes it.")
