"""Finds what names something in stored JSON, and takes it out."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Collection
from typing import Final

TOKEN: Final = re.compile(
    r"[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
"""How JSON spells the SHA-256 of a photo, and the id of a listing."""

NEXT_CURSOR: Final = "next_cursor"
CURSORS: Final = frozenset({NEXT_CURSOR, "cursor"})
"""Of results and payloads; they encode what was shown last."""
_CURSOR: Final = re.compile(r'"(?:next_)?cursor"\s*:\s*"([\w=-]+)"')


class Gone:
    """In place of a value that names something that is to be forgotten."""


GONE: Final = Gone()


def names_any(stored: str | None, traces: Collection[str]) -> bool:
    """Whether a text of JSON has one of these ids or hashes, also within a cursor."""
    if stored is None:
        return False
    return any(token in traces for token in TOKEN.findall(stored)) or any(
        _leads_to(cursor, traces) for cursor in _CURSOR.findall(stored)
    )


def _leads_to(cursor: str, traces: Collection[str]) -> bool:
    try:
        decoded = b64decode(cursor, b"-_").decode("latin-1")
    except Error:
        return False
    return any(token in traces for token in TOKEN.findall(decoded))


def without(value: object, traces: Collection[str]) -> object:
    """A JSON value without what names one of these; `GONE` if nothing is left of it.

    Of a list, the items that name one are left out. An object goes as a whole, but for one whose
    keys are ids.
    """
    if isinstance(value, str):
        return GONE if names_any(value, traces) else value
    if isinstance(value, list):
        kept = (without(item, traces) for item in value)
        return [item for item in kept if item is not GONE]
    if isinstance(value, dict):
        return _object_without(value, traces)
    return value


def _object_without(value: dict[str, object], traces: Collection[str]) -> object:
    kept: dict[str, object] = {}
    for key, item in value.items():
        if names_any(key, traces):
            continue
        if key in CURSORS and isinstance(item, str) and _leads_to(item, traces):
            if key != NEXT_CURSOR:
                return GONE
            item = None  # noqa: PLW2901 - the next page can't be asked for any more
        left = without(item, traces)
        if left is GONE:
            return GONE
        kept[key] = left
    return kept
