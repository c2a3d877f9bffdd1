"""Writes docs/cli.md, the reference of all commands, from the commands themselves."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from command_line.lazy import LazyCommand  # noqa: E402 - found beside this folder, not installed
from marketlens import app  # noqa: E402 - the same

PAGE = ROOT / "docs" / "cli.md"
HEAD = """\
# Commands

`scripts/cli_reference.py` writes this page from the commands; `make format` runs it.

Every command ends with

| exit code | when |
|---|---|
| 0 | all is done |
| 1 | all is done, but something is left to look at: rejected rows, problems, differences |
| 2 | it is not done: wrong options, or a refusal, whose reason is one line on standard error |
| 70 | a defect ended it: the traceback is on standard error |
| 75 | it is not done, but the same command may work later |
| 130 | Ctrl-C ended it |

With `--json` the last line of standard output is one object: the report, or `{"error": …}`.
"""


def leaves(command: Any, context: typer.Context) -> Iterator[tuple[Any, typer.Context]]:
    """Every command that is no group, imported, with its context."""
    for name, child in getattr(command, "commands", {}).items():
        loaded = child.load() if isinstance(child, LazyCommand) else child
        yield from leaves(loaded, typer.Context(loaded, info_name=name, parent=context))
    if not hasattr(command, "commands"):
        yield command, context


def section(command: Any, context: typer.Context) -> str:
    """One command: its usage, what it does, its arguments and options."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [parameter.get_help_record(context) for parameter in command.params]
    lines = [f"- `{names}`: {' '.join(text.split())}\n" for names, text in filter(None, records)]
    parts = [f"## {context.command_path}\n", f"```text\n{usage}\n```\n", f"{command.help}\n"]
    if lines:
        parts.append("".join(lines))
    return "\n".join(parts)


def page() -> str:
    """The whole page."""
    command = typer.main.get_command(app)
    found = leaves(command, typer.Context(command, info_name="marketlens"))
    return "\n".join([HEAD, *(section(*leaf) for leaf in found)])


def main() -> None:
    """Rewrite the page; with `--check`, only say whether that would change anything."""
    written = page()
    if "--check" in sys.argv:
        is_current = PAGE.exists() and PAGE.read_text() == written
        sys.exit(0 if is_current else "docs/cli.md is out of date: `make format` writes it")
    PAGE.write_text(written)


if __name__ == "__main__":
    main()
