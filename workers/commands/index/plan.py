"""`marketlens index plan`."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from command_line.options import JsonReport, command_of
from models.index.plan import default_memory_bytes, plan_index
from settings import Settings
from workers.commands.arguments import RecallTarget
from workers.commands.index.tables import facts


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The options of the command."""

    rows: Annotated[int, typer.Option(min=0, help="How many photos.")]
    dimension: Annotated[int, typer.Option(min=1, help="Numbers of a vector.")] = 2048
    recall_target: RecallTarget = None
    memory: Annotated[
        int | None,
        typer.Option(min=1, help="Bytes that it may take; as in the settings by default."),
    ] = None
    json_report: JsonReport = False


@command_of(PlanOptions)
def plan(options: PlanOptions) -> None:
    """Show which index a catalogue of some size would get, and why. Needs no database."""
    settings, rows = Settings(), options.rows
    recall_target = options.recall_target or settings.recall_target
    memory_bytes = options.memory or settings.index_memory_bytes or default_memory_bytes()
    chosen = plan_index(
        rows, options.dimension, recall_target=recall_target, memory_bytes=memory_bytes
    )
    read, kept = round(rows * chosen.hot_bytes), round(rows * chosen.disk_bytes)
    if options.json_report:
        values = {
            "rows": rows,
            "dimension": options.dimension,
            "recall_target": recall_target,
            "memory_bytes": memory_bytes,
            **asdict(chosen),
            "read_bytes": read,
            "bytes": kept,
        }
        typer.echo(json.dumps(values))
        return
    lines = {
        "Factory": chosen.factory,
        "Read by most searches": decimal(read),
        "On disk": decimal(kept),
        "Why": chosen.why,
    }
    Console().print(facts(f"{rows:,} photos", lines))
