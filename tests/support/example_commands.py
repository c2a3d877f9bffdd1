"""Commands that end in each of the ways in which a command can end."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from command_line.ending import AlreadyReported
from command_line.lazy import CommandRef
from command_line.options import DryRun, JsonReport, command_of, force_option
from models.domain.errors import Conflict, ExitCode, NotFound, Unavailable

ERRORS: dict[str, BaseException] = {
    "refused": NotFound("There is none."),
    "busy": Unavailable("Not now."),
    "unreadable": FileNotFoundError("no file"),
    "damaged": sqlite3.DatabaseError("no database"),
    "interrupted": KeyboardInterrupt(),
    "wrong": typer.BadParameter("Not both."),
    "defect": RuntimeError("a defect"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailOptions:
    """The options of `fail`."""

    how: Annotated[str, typer.Argument(help="How.")]
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoOptions:
    """The options of `echo`: each kind there is."""

    file: Annotated[Path, typer.Argument(help="A path.")]
    names: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None
    limit: Annotated[int, typer.Option(min=1, help="A number.")] = 3
    force: Annotated[bool, force_option("Even so.")] = False
    wait: Annotated[bool, typer.Option(help="Both ways.")] = True
    dry_run: DryRun = False


@command_of(FailOptions)
def fail(options: FailOptions) -> None:
    """Fail."""
    raise ERRORS[options.how]


@command_of(FailOptions)
def report(options: FailOptions) -> ExitCode:
    """Report, and then say how it ended."""
    if options.json_report:
        typer.echo(json.dumps({"status": options.how}))
    if options.how == "failed":
        raise AlreadyReported from Conflict("It failed.")
    return ExitCode.LOOK_AT_IT


@command_of(EchoOptions)
def echo(options: EchoOptions) -> None:
    """Print the options."""
    typer.echo(repr(options))


def nothing() -> None:
    """Do nothing."""


TABLE = {
    "fail": CommandRef("tests.support.example_commands:fail", "Fail."),
    "report": CommandRef(
        "tests.support.example_commands:report", "Report, and then say how it ended."
    ),
    "echo": CommandRef("tests.support.example_commands:echo", "Print the options."),
    "nothing": CommandRef("tests.support.example_commands:nothing", "Do nothing."),
    "extra": CommandRef("no_such_package.module:run", "Needs an extra.", extra="train"),
}
