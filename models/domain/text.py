"""One rule for each kind of text, wherever it comes in (docs/decisions/0026-one-rule-for-text.md).

Lines are titles, sellers, places and names of photo parts; descriptions have several lines;
categories are paths. Built on `str`'s own methods, which are fast and agree with each other on what
a space and what a line break is. What a rule has made, it leaves as it is.

Stored rows are of this rule. Whoever changes it writes a migration, or what the catalogue shows
is not found any more.
"""

import re
import unicodedata
from itertools import chain, groupby
from typing import Final

CATEGORY_SEPARATOR: Final = " / "
"""Between the names of a category's path, as it is stored and shown."""

# Controls, which databases and terminals stumble on, halves of surrogate pairs, which are no text,
# and characters that show nothing but make equal texts differ or turn the writing direction around.
# Joiners, variation selectors and tags stay: emoji are made of them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_BLANK_LINES = re.compile(r"\n{3,}")
# Where ASCII is near, runs of combining marks are short: it has none.
_FOREIGN = re.compile(r"[^\x00-\x7f]{64,}")
# A slash parts names only beside a space: `TV/DVD` is one name. Product feeds write `Home > Lamps`.
_BETWEEN_NAMES = re.compile(" /|/ |>")


def clean_line(text: str) -> str:
    """The text in one line: NFC, single spaces, no controls. Empty if it has nothing to show."""
    if not text.isprintable():
        text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _FOREIGN.sub(_in_canonical_order, text))
    return " ".join(text.split())


def clean_text(text: str) -> str:
    """The text in lines: NFC, single spaces, no controls, at most one blank line in a row."""
    lines = "\n".join(map(clean_line, text.splitlines())).strip()
    return _BLANK_LINES.sub("\n\n", lines) if "\n\n\n" in lines else lines


def clean_category(text: str) -> str:
    """The path of a category, as `Home & Garden / TV/DVD`; empty if it names none.

    Names are parted by a slash beside a space, or by `>`. No name begins or ends with a slash, so
    that the path is read again as it was.
    """
    names = [name.strip("/ ") for name in _BETWEEN_NAMES.split(clean_line(text))]
    return CATEGORY_SEPARATOR.join(filter(None, names))


def sub_category(path: str) -> str:
    """The first two names of a category's path, or the only one: the root's part it is filed in."""
    return CATEGORY_SEPARATOR.join(path.split(CATEGORY_SEPARATOR)[:2])


def _in_canonical_order(run: re.Match[str]) -> str:
    """The run decomposed and its marks sorted, for which `normalize` takes quadratic time."""
    characters = "".join(unicodedata.normalize("NFD", character) for character in run[0])
    runs = groupby(characters, key=lambda character: unicodedata.combining(character) > 0)
    return "".join(
        chain.from_iterable(sorted(marks, key=unicodedata.combining) for _, marks in runs)
    )
