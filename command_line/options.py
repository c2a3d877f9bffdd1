"""Options that several commands have, and a command's options as one frozen dataclass."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, Signature
from typing import Annotated, TypeVar, get_type_hints

import typer
from typer.models import OptionInfo

from models.domain.errors import ExitCode

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
JsonReport = Annotated[
    bool, typer.Option("--json", help="End with the report as one line of JSON.")
]
Inline = Annotated[
    bool,
    typer.Option("--inline", help="Do the work in this process, without a queue and its workers."),
]

Options = TypeVar("Options")


def force_option(what: str) -> OptionInfo:
    """`--force`, with the help text `what`: each command overrides something else by it."""
    # typer.Option is untyped, so that it can be the default of every parameter.
    option: OptionInfo = typer.Option("--force", help=what)
    return option


def command_of(
    options: type[Options],
) -> Callable[[Callable[[Options], ExitCode | None]], Callable[..., ExitCode | None]]:
    """Declare a command's options by a dataclass: each field is an option or an argument.

    The fields are annotated as typer's parameters are; the function gets one `options`.
    """
    hints = get_type_hints(options, include_extras=True)
    parameters = [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)  # type: ignore[arg-type]  # any dataclass: they have no type
    ]

    def decorate(function: Callable[[Options], ExitCode | None]) -> Callable[..., ExitCode | None]:
        @wraps(function)
        def command(**values: object) -> ExitCode | None:
            return function(options(**values))

        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # read by typer
        command.__annotations__ = hints
        return command

    return decorate
