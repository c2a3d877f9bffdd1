"""Runs the product's commands in this process, through their entry point."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from marketlens import app
from models.domain.errors import exit_code_of


def invoke(*words: object) -> Result:
    """Run a command; what it refused to do is the result's `exception`, whatever its exit code.

    Raises what no command should raise.
    """
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    # A SystemExit, in place of typer's Exit, which was raised from the error.
    ended = result.exception and result.exception.__context__
    if ended and isinstance(ended.__cause__, Exception):
        result.exception = ended.__cause__
        assert result.exit_code == exit_code_of(ended.__cause__)
    return result


def last_line(result: Result) -> dict[str, Any]:
    """The line of JSON that a command ended with."""
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report
