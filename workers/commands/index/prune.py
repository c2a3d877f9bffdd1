"""`marketlens index prune`."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console

from command_line.opened import database_of, store_of
from command_line.options import DryRun, JsonReport, command_of
from settings import Settings
from workers.commands.index.tables import facts
from workers.generations import prune as pruning


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOptions:
    """The options of the command."""

    keep: Annotated[
        int | None,
        typer.Option(min=1, help="So many of each encoder's, the live one included."),
    ] = None
    dry_run: DryRun = False
    json_report: JsonReport = False


@command_of(PruneOptions)
def prune(options: PruneOptions) -> None:
    """Remove old generations, and what killed builds left. What is in use goes the next time."""
    settings = Settings()
    keep = options.keep or settings.keep_generations
    with database_of(settings) as database:
        work = pruning.would_prune if options.dry_run else pruning.prune
        pruned = work(database, settings.generations_dir, store_of(settings), keep=keep)
    if options.json_report:
        report = {"dry_run": options.dry_run, "keep": keep, "forgotten": pruned.forgotten}
        typer.echo(json.dumps(report | asdict(pruned.swept)))
        return
    lines = {
        "Kept no more": _listed(pruned.forgotten),
        "Removed here": _listed(pruned.swept.removed),
        "Removed from the store": _listed(pruned.swept.unpublished),
        "Still open here": _listed(pruned.swept.held),
    }
    Console().print(facts("Would be pruned" if options.dry_run else "Pruned", lines))


def _listed(generation_ids: list[int]) -> str:
    return ", ".join(map(str, generation_ids)) or "-"
