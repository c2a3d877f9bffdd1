"""`marketlens encoder`, `index`, `evaluate`, `train` and `duplicates`: what a person computes.

A door of its own: neither the relay nor a worker has any use for what these import.
"""

from typing import Annotated

import typer

from command_line import LOOK_AT_IT, JsonReport, ending
from settings import Settings
from workers.commands import encoder, index
from workers.commands.duplicates import duplicates
from workers.commands.evaluate import evaluate
from workers.commands.reconcile import run_reconcile
from workers.commands.train import train

app = typer.Typer()
app.add_typer(encoder.app, name="encoder")
app.add_typer(index.app, name="index")
app.command()(evaluate)
app.command()(train)
app.command()(duplicates)


@app.command()
def reconcile(
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every stored photo, to find damaged ones.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Repair even if that deletes most of the store.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing, even with --repair.")
    ] = False,
    json_report: JsonReport = False,
) -> None:
    """Compare database, photo store and index: what is missing, orphaned or stale."""
    with ending(json_report=json_report) as bars:
        left = run_reconcile(
            Settings(),
            bars,
            repair=repair and not dry_run,
            force=force,
            verify=verify,
            json_report=json_report,
        )
    raise typer.Exit(LOOK_AT_IT if left else 0)
