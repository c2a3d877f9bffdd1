"""A command's options, read off a dataclass."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.support.example_commands import EchoOptions, echo

app = typer.Typer()
app.command()(echo)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["here"], EchoOptions(file=Path("here"))),
        (
            ["--names", "a", "here", "--names", "b", "--limit", "5"],
            EchoOptions(file=Path("here"), names=["a", "b"], limit=5),
        ),
        (
            ["here", "--force", "--no-wait", "--dry-run"],
            EchoOptions(file=Path("here"), force=True, wait=False, dry_run=True),
        ),
    ],
)
def test_the_function_gets_what_was_given(words: list[str], options: EchoOptions) -> None:
    assert CliRunner().invoke(app, words).stdout == f"{options!r}\n"


@pytest.mark.parametrize("words", [[], ["here", "--limit", "0"], ["here", "there"]])
def test_what_does_not_fit_a_field_is_refused(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_help_and_defaults_are_the_fields() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    for text in ("Print the options.", "Repeatable.", "Even so.", "default: 3", "--no-wait"):
        assert text in shown
