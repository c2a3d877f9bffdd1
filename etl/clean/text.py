"""Normalisation of text: one Unicode form, one kind of space, no invisible characters.

Built on `str`'s own methods, which are fast and agree with each other on what a space and what a
line break is. Cleaning what is clean changes nothing.
"""

import re
import unicodedata
from itertools import chain, groupby

# Controls, which databases and terminals stumble on, and characters that show nothing but make
# equal texts differ or turn the writing direction around. Joiners, variation selectors and tags
# stay: emoji are made of them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_BLANK_LINES = re.compile(r"\n{3,}")
# Where ASCII is near, runs of combining marks are short: it has none.
_FOREIGN = re.compile(r"[^\x00-\x7f]{64,}")
_SITE = "gumtree"


def clean_line(text: str) -> str:
    """The text in one line: NFC, single spaces, no controls."""
    if not text.isprintable():
        text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _FOREIGN.sub(_in_canonical_order, text))
    return " ".join(text.split())


def clean_text(text: str) -> str:
    """The text in lines: NFC, single spaces, no controls, at most one blank line in a row."""
    lines = "\n".join(map(clean_line, text.splitlines())).strip()
    return _BLANK_LINES.sub("\n\n", lines) if "\n\n\n" in lines else lines


def clean_title(text: str) -> str:
    """The title in one line, without the ` | in PLACE | Gumtree` that the site adds to it."""
    parts = clean_line(text).split("|")
    while len(parts) > 1 and parts[-1].strip().casefold() == _SITE:
        parts.pop()
        if len(parts) > 1 and parts[-1].lstrip()[:3].casefold() == "in ":
            parts.pop()
    return "|".join(parts).strip()


def _in_canonical_order(run: re.Match[str]) -> str:
    """The run decomposed and its marks sorted, for which `normalize` takes quadratic time."""
    characters = "".join(unicodedata.normalize("NFD", character) for character in run[0])
    runs = groupby(characters, key=lambda character: unicodedata.combining(character) > 0)
    return "".join(
        chain.from_iterable(sorted(marks, key=unicodedata.combining) for _, marks in runs)
    )
