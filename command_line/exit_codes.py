"""How commands end: errors become sentences and exit codes, as `ExitCode` states."""

import json
import logging
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from models.domain.errors import (
    ExitCode,
    MarketlensError,
    Misconfigured,
    Unavailable,
    exit_code_of,
    sentence_of,
)


class AlreadyReported(Exception):
    """Raised from the error that ended the work, when the command has already reported it.

    With --json that report stays the last line.
    """


@contextmanager
def ending(*, json_report: bool) -> Generator[None]:
    """End with a sentence on standard error, and an exit code, when the work can't be done.

    With `json_report` the sentence is also one line of JSON, `{"error": …}`, on standard output.
    """
    try:
        yield
    except BrokenPipeError:
        # The reader of the output has closed it (`| head`): typer ends without a message.
        raise
    except TyperException as error:
        # Usage errors: typer prints them, and ends with 2.
        _as_json(error.format_message(), json_report=json_report)
        raise
    except AlreadyReported as reported:
        refusal = reported.__cause__
        if not isinstance(refusal, MarketlensError):
            raise
        typer.echo(f"marketlens: {sentence_of(refusal)}", err=True)
        raise typer.Exit(exit_code_of(refusal)) from refusal
    except (MarketlensError, OSError, sqlite3.Error) as error:
        sentence = sentence_of(error)
        typer.echo(f"marketlens: {sentence}", err=True)
        _as_json(sentence, json_report=json_report)
        raise typer.Exit(exit_code_of(error)) from error


@contextmanager
def awaiting(log: logging.Logger) -> Generator[None]:
    """Log what can't be reached now, where it will be tried again; what refuses is raised."""
    try:
        yield
    except Misconfigured:
        raise
    except Unavailable as error:
        log.warning("%s Trying again.", sentence_of(error))


class Command(TyperCommand):
    """A command whose function returns how it ended: an ExitCode, or None when all is well."""

    def invoke(self, ctx: Any) -> None:
        """Run the function, and end with its exit code or with that of its error."""
        with ending(json_report=bool(ctx.params.get("json_report"))):
            ended: ExitCode | None = super().invoke(ctx)
        if ended:
            raise typer.Exit(ended)


def _as_json(sentence: str, *, json_report: bool) -> None:
    if json_report:
        typer.echo(json.dumps({"error": sentence}))
