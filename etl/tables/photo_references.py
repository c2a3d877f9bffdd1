"""Photos as cells of a table name them: files beside the table, or URLs."""

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from etl.tables.row_source import VALUES

MAX_REFERENCE: Final = 2_000
MAX_PHOTOS: Final = 1_000
"""Of one listing; what is beyond is left out, and said so."""

MAX_COMPONENT_BYTES: Final = 255

PHOTO_ENDS: Final = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".heic", ".heif", ".bmp", ".tif"),
    *(".tiff", ".jfif"),
)
_NEXT_URL = re.compile(r"[,;|\s]+(?=(?:https?:)?//)", re.IGNORECASE)
_URL = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def split_references(cell: str) -> list[str]:
    """The photos that a cell names, in order: parted by commas, semicolons, bars, lines or spaces.

    A space parts files only where each part ends as a photo's name does; a URL may hold commas.
    """
    found: list[str] = []
    for value in cell.split(VALUES):
        for piece in re.split(r"[\n\v\r|]+", value):
            found += _in_piece(piece)
    return [reference for reference in (text.strip(" \t,;\"'") for text in found) if reference]


def _in_piece(piece: str) -> Iterator[str]:
    for part in _NEXT_URL.split(piece.strip()):
        if _URL.match(part):
            # A space ends a URL; what follows may be a file.
            url, _, rest = part.partition(" ")
            yield url
            yield from _in_piece(rest) if rest.strip() else ()
            continue
        for name in re.split("[,;]", part):
            words = name.split()
            if len(words) > 1 and all(word.lower().endswith(PHOTO_ENDS) for word in words):
                yield from words
            else:
                yield name


def is_url(reference: str) -> bool:
    """Whether this names a photo by a URL that `as_url` understands."""
    return _URL.match(reference) is not None


def as_url(reference: str) -> str:
    """The URL with its scheme: pages leave it out where it is their own. Raises ValueError."""
    if len(reference) > MAX_REFERENCE:
        raise ValueError(f"is a URL of more than {MAX_REFERENCE:,} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in reference):
        raise ValueError("is no valid URL")
    return f"https:{reference}" if reference.startswith("//") else reference


def as_path(reference: str) -> str:
    """A file's path inside the feed's folder, with slashes.

    A slash before it stands for that folder, as in the tables of shops. Raises ValueError for what
    could lead out of it or can't be a file's name.
    """
    path = reference.replace("\\", "/").lstrip("/")
    parts = [part for part in PurePosixPath(path).parts if part != "."]
    if _SCHEME.match(path) or PureWindowsPath(path).drive:
        raise ValueError("is neither a file's path nor an http(s) URL")
    if (
        not parts
        or ".." in parts
        or any(unicodedata.category(character) in {"Cc", "Cs"} for character in path)
        or any(len(os.fsencode(part)) > MAX_COMPONENT_BYTES for part in parts)
        or len(path) > MAX_REFERENCE
    ):
        raise ValueError("is no path of a file in the feed's folder")
    return "/".join(parts)
