"""Words for names that a call does not know: of form parts, JSON fields and columns of a table."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

SHOWN_CHARACTERS: Final = 60


def unknown_name(name: str, known: Collection[str]) -> str:
    """What to say about an unknown name: the nearest known one, or all of them."""
    shown = name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}…"
    near = get_close_matches(name[:SHOWN_CHARACTERS].strip().casefold(), known, n=1)
    if near:
        return f"{shown!r} is unknown; did you mean {near[0]!r}?"
    return f"{shown!r} is unknown; known are {', '.join(sorted(known))}."
