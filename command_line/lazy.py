"""Commands whose modules are imported when they are called.

Listing commands imports none of them: the API must not load pandas, nor `--help` wait for torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup

from command_line.exit_codes import Command, ending
from models.domain.optional_dependencies import requires_extra


@dataclass(frozen=True, slots=True)
class Audit:
    """How the audit log records a command."""

    details: tuple[str, ...] = ()
    """Its options whose values are recorded: none that may hold a password, or name a user."""
    only_with: str | None = None
    """The option without which it changes nothing."""


@dataclass(frozen=True, slots=True)
class CommandRef:
    """A command's function, and how it is shown in a list of commands."""

    target: str
    """Its function, as `module:name`."""
    help: str
    """The first line of the function's docstring; a test compares the two."""
    extra: str | None = None
    """The extra of this package that its module needs."""
    audit: Audit | None = None
    """How it is recorded; None for one that changes nothing in database, store or models."""


@dataclass(frozen=True, slots=True)
class Group:
    """A command that has commands.

    `default` names the one that is meant where none is named.
    """

    help: str
    commands: Mapping[str, CommandRef]
    default: str | None = None


Table = Mapping[str, CommandRef | Group]

RECORDER: Final = "command_line.audited"
"""The module that records commands in the audit log: it reads settings, and opens the database."""


class LazyCommand(TyperCommand):
    """A placeholder of a command, which is imported when it is called."""

    def __init__(self, path: tuple[str, ...], at: CommandRef) -> None:
        super().__init__(path[-1], short_help=at.help)
        self._path = path
        self._at = at

    def load(self) -> Command:
        """The command itself. Raises SetupError where its module needs an extra that is missing."""
        module, _, function = self._at.target.partition(":")
        with requires_extra(self._at.extra):
            callback = getattr(import_module(module), function)
        if self._at.audit is not None:
            recorded = import_module(RECORDER).recorded
            callback = recorded(callback, " ".join(self._path), self._at.audit)
        app = typer.Typer(add_completion=False)
        app.command(name=self.name, cls=Command)(callback)
        command = typer.main.get_command(app)
        if not isinstance(command, Command):
            raise TypeError(f"{self._at.target} is no command")
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """The context of the command itself, by which it is run, completed and described."""
        # Before the command is loaded its options can't be parsed: --json is looked for as it is.
        with ending(json_report="--json" in args):
            words = [in_home(word) for word in args]
            return self.load().make_context(info_name, words, parent, **extra)


class LazyGroup(TyperGroup):
    """A group of lazy commands; the table is a class attribute or an argument."""

    table: ClassVar[Table] = {}

    def __init__(
        self,
        *,
        table: Table | None = None,
        default: str | None = None,
        path: tuple[str, ...] = (),
        **attributes: Any,
    ) -> None:
        commands = self.table if table is None else table
        attributes["commands"] = {
            name: _lazy((*path, name), entry) for name, entry in commands.items()
        }
        super().__init__(**attributes)
        self._default = default

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the name of the default command where none is named."""
        if self._default is not None:
            named = {*self.commands, *self.get_help_option_names(ctx)}
            if not args or args[0] not in named:
                args = [self._default, *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


def in_home(word: str) -> str:
    """A word whose path begins in the home folder, which shells leave alone in `--out=~/here`."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    if value != "~" and not value.startswith("~/"):
        return word
    return f"{option}{equals}{Path(value).expanduser()}"


def _lazy(path: tuple[str, ...], entry: CommandRef | Group) -> TyperCommand | TyperGroup:
    if isinstance(entry, CommandRef):
        return LazyCommand(path, entry)
    return LazyGroup(
        name=path[-1],
        path=path,
        help=entry.help,
        table=entry.commands,
        default=entry.default,
        no_args_is_help=entry.default is None,
    )
