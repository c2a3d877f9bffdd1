"""Text as people typed it, made plain: one spelling, one kind of space, nothing invisible."""

import re
import unicodedata

# Line breaks of every system, and Unicode's own.
_LINE_BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")
# Controls, which databases and terminals stumble on, and characters that show nothing but make
# equal texts differ or turn the writing direction around. Joiners, variation selectors and tags
# stay: emoji are made of them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_BLANK_LINES = re.compile(r"\n{3,}")
_TITLE_TAIL = re.compile(r"(?:\s?\|\s?in\s[^|]*)?\s?\|\s?Gumtree$", re.IGNORECASE)


def clean_line(text: str) -> str:
    """The text in one line: NFC, single spaces, no controls."""
    return _SPACES.sub(" ", _plain(text)).strip()


def clean_text(text: str) -> str:
    """The text in lines: NFC, single spaces, no controls, at most one blank line in a row."""
    lines = (_SPACES.sub(" ", line).strip() for line in _LINE_BREAK.split(_plain(text)))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def clean_title(text: str) -> str:
    """The title in one line, without the ` | in PLACE | Gumtree` that the site adds to it."""
    return _TITLE_TAIL.sub("", clean_line(text)).strip()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
