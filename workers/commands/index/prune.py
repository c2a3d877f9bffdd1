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
    """Remove old generations, and files of killed builds. What is in use is removed next time."""
    settings = Settings()
    keep = options.keep or settings.keep_generations
    with database_of(settings) as database:
        work = pruning.would_prune if options.dry_run else pruning.prune
        pruned = work(database, settings.generations_dir, store_of(settings), keep=keep)
    if options.json_report:
        report = {"dry_run": options.dry_run, "keep": keep, "forgotten": pruned.retired}
        typer.echo(json.dumps(report | asdict(pruned.files)))
        return
    lines = {
        "Kept no more": _listed(pruned.retired),
        "Removed here": _listed(pruned.files.removed),
        "Removed from the store": _listed(pruned.files.unpublished),
        "Still open here": _listed(pruned.files.held),
    }
    Console().print(facts("Would be pruned" if options.dry_run else "Pruned", lines))


def _listed(generation_ids: list[int]) -> str:
    return ", ".join(map(str, generation_ids)) or "-"
