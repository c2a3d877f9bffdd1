"""Writes the table of settings into README.md, from the settings themselves."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from readme_section import rewrite  # noqa: E402 - beside this file

from settings import Settings  # noqa: E402 - found beside this folder, not installed


def rows() -> str:
    """One row a setting."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        lines.append(f"| `MARKETLENS_{name.upper()}` | {default} | {field.description} |\n")
    return "".join(lines)


def table() -> str:
    """The whole table."""
    return "| variable | default | meaning |\n|---|---|---|\n" + rows()


if __name__ == "__main__":
    rewrite("settings", table())
