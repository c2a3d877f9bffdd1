"""Writes the table of settings into README.md, from the settings themselves."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from settings import Settings  # noqa: E402 - found beside this folder, not installed

BETWEEN = re.compile(r"(?<=<!-- settings -->\n).*(?=<!-- /settings -->)", re.DOTALL)


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


def main() -> None:
    """Rewrite the table; with `--check`, only say whether that would change anything."""
    readme = ROOT / "README.md"
    before = readme.read_text()
    after = BETWEEN.sub(lambda _: table(), before)
    if "--check" in sys.argv:
        sys.exit("README.md: the table of settings is out of date" if after != before else 0)
    readme.write_text(after)


if __name__ == "__main__":
    main()
