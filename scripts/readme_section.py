"""Rewrites a generated section of a file, between `<!-- name -->` and `<!-- /name -->`."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def rewrite(name: str, content: str, file: Path = README) -> None:
    """Write the section; with `--check`, only say whether that would change anything."""
    between = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- /{name} -->)", re.DOTALL)
    before = file.read_text()
    after = between.sub(lambda _: content, before)
    if "--check" in sys.argv:
        sys.exit(f"{file.name}: the {name} are out of date" if after != before else 0)
    file.write_text(after)
