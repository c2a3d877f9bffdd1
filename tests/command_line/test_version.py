"""`marketlens --version`."""

import tomllib
from pathlib import Path

from typer.testing import CliRunner

from marketlens import app


def test_the_version_is_the_projects() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert ended.exit_code == 0
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert ended.stdout.startswith(f"marketlens {project['version']} (Python 3.")
