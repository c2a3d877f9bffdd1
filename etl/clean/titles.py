"""Titles as the marketplace's feed writes them."""

from models.domain.text import clean_line

_SITE = "gumtree"


def clean_title(text: str) -> str:
    """The title in one line, without the ` | in PLACE | Gumtree` that the site adds to it."""
    parts = clean_line(text).split("|")
    while len(parts) > 1 and parts[-1].strip().casefold() == _SITE:
        parts.pop()
        if len(parts) > 1 and parts[-1].lstrip()[:3].casefold() == "in ":
            parts.pop()
    return "|".join(parts).strip()
