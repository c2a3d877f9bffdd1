"""Commands are alike: found without being imported, declared once, described as they are."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest

from command_line.lazy import CommandRef, Group, Table
from marketlens import COMMANDS
from tests.support.imports import HEAVY, modules_after
from tests.support.paths import REPOSITORY

# The rooms, and what opens a database or reads files of encoders.
ROOMS = {"api", "db", "etl", "ops", "sample", "settings", "sqlalchemy", "workers"}
MOST_LINES, MOST_PARAMETERS = 60, 8


def commands(table: Table) -> Iterator[CommandRef]:
    for entry in table.values():
        if isinstance(entry, CommandRef):
            yield entry
        else:
            yield from commands(entry.commands)


ALL = list(commands(COMMANDS))
MODULES = sorted({command.target.partition(":")[0] for command in ALL})
GROUPS = [name for name, entry in COMMANDS.items() if isinstance(entry, Group)]


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.target)
def test_a_list_says_what_the_command_says(command: CommandRef) -> None:
    module, _, name = command.target.partition(":")
    described = inspect.getdoc(getattr(import_module(module), name)) or ""
    assert command.help == described.splitlines()[0]


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in GROUPS)])
def test_a_list_of_commands_imports_none_of_them(words: list[str]) -> None:
    statement = (
        "import contextlib, io; from marketlens import app; unseen = io.StringIO(); "
        "swallow = contextlib.redirect_stdout(unseen); swallow.__enter__(); "
        f"app({words}, standalone_mode=False); swallow.__exit__(None, None, None); "
        "assert 'Commands' in unseen.getvalue()"
    )
    assert not (HEAVY | ROOMS) & modules_after(statement)


def test_the_reference_is_up_to_date() -> None:
    check = [sys.executable, str(REPOSITORY / "scripts" / "cli_reference.py"), "--check"]
    assert subprocess.run(check, check=False, env={"COLUMNS": "40"}).returncode == 0


def functions(module: str) -> Iterator[ast.FunctionDef]:
    tree = ast.parse((REPOSITORY / f"{module.replace('.', '/')}.py").read_text())
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("module", MODULES)
def test_functions_of_commands_are_short_and_import_nothing(module: str) -> None:
    for function in functions(module):
        where = f"{module}:{function.name}"
        assert (function.end_lineno or 0) - function.lineno < MOST_LINES, where
        assert len(function.args.args + function.args.kwonlyargs) <= MOST_PARAMETERS, where
        imports = {type(node) for node in ast.walk(function)} & {ast.Import, ast.ImportFrom}
        # `seed --inline` alone becomes a worker, which no other seed should wait for.
        assert not imports or where == "etl.commands.seed:_worker", where
