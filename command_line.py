"""What all commands share: options, exit codes, and how a command ends that can't do its work."""

import json
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from models.domain.errors import MarketlensError
from progress import Bars

LOOK_AT_IT = 1
NOT_DONE = 2

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
JsonReport = Annotated[
    bool, typer.Option("--json", help="End with the report as one line of JSON.")
]


@contextmanager
def ending(*, json_report: bool = False) -> Generator[Bars]:
    """Bars for a command, which ends with exit code 2 and a sentence when it can't be done."""
    try:
        with Bars(Console(stderr=True)) as bars:
            yield bars
    except (MarketlensError, OSError, sqlite3.Error) as error:
        typer.echo(f"marketlens: {error}", err=True)
        if json_report:
            typer.echo(json.dumps({"error": str(error)}))
        raise typer.Exit(NOT_DONE) from error
