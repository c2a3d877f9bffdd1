"""Rewrites a generated section of README.md, between `<!-- name -->` and `<!-- /name -->`."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def rewrite(name: str, content: str) -> None:
    """Write the section; with `--check`, only say whether that would change anything."""
    between = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- /{name} -->)", re.DOTALL)
    before = README.read_text()
    after = between.sub(lambda _: content, before)
    if "--check" in sys.argv:
        sys.exit(f"README.md: the {name} are out of date" if after != before else 0)
    README.write_text(after)
