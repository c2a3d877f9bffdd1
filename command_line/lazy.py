"""Commands that are imported when they are called.

A list of commands then costs nothing: the API must not carry pandas, and nobody who asks for help
should wait for torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from command_line.ending import Command, ending
from models.domain.optional_dependencies import requires_extra


@dataclass(frozen=True, slots=True)
class At:
    """Where a command is, and what a list of commands says of it."""

    place: str
    """Its function, as `module:name`."""
    help: str
    """The first line of the function's docstring; a test compares the two."""
    extra: str | None = None
    """The extra of this package that its module needs."""


@dataclass(frozen=True, slots=True)
class Group:
    """A command that has commands."""

    help: str
    commands: Mapping[str, At]


Table = Mapping[str, At | Group]


class Deferred(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str, at: At) -> None:
        super().__init__(name, short_help=at.help)
        self._at = at

    def load(self) -> Command:
        """The command itself. Raises SetupError where its module needs an extra that is missing."""
        module, _, function = self._at.place.partition(":")
        with requires_extra(self._at.extra):
            callback = getattr(import_module(module), function)
        app = typer.Typer(add_completion=False)
        app.command(name=self.name, cls=Command)(callback)
        command = typer.main.get_command(app)
        if not isinstance(command, Command):
            raise TypeError(f"{self._at.place} is no command")
        return command

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself, by which it is run, completed and described."""
        # Until it is loaded, and its options are understood, this is all that is known of --json.
        with ending(json_report="--json" in args):
            return self.load().make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """A group of deferred commands; a subclass, or whoever makes one, gives it its table."""

    table: ClassVar[Table] = {}

    def __init__(self, *, table: Table | None = None, **attributes: Any) -> None:
        commands = self.table if table is None else table
        attributes["commands"] = {name: _stand_in(name, entry) for name, entry in commands.items()}
        super().__init__(**attributes)


def _stand_in(name: str, entry: At | Group) -> TyperCommand | TyperGroup:
    if isinstance(entry, At):
        return Deferred(name, entry)
    return LazyGroup(name=name, help=entry.help, table=entry.commands, no_args_is_help=True)
