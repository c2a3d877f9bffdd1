"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07)."""

import re
from collections.abc import Sequence
from typing import Final

from models.domain.errors import MalformedIdempotencyKey

HEADER: Final = "idempotency-key"
REPLAYED: Final = "Idempotency-Replayed"
"""A header of answers that are given again; its value is `true`."""
MAX_KEY: Final = 255
"""Characters of the header's value at most."""

PATTERN: Final = r"[!#-~](?:[ -~]*[!-~])?|\"(?:[ !#-\[\]-~]|\\[\"\\])+\""
"""A key as it is, or a string of structured headers (RFC 9651, section 3.3.3)."""

_KEY: Final = re.compile(PATTERN)
_ESCAPED: Final = re.compile(r"\\(.)")


def parsed_key(lines: Sequence[str]) -> str:
    """The key in all lines of the header, without quotes.

    Raises MalformedIdempotencyKey.
    """
    if len(lines) != 1:
        raise MalformedIdempotencyKey("A request has one Idempotency-Key, not several.")
    stated = lines[0].strip(" \t")
    if len(stated) > MAX_KEY:
        raise MalformedIdempotencyKey(f"An Idempotency-Key has at most {MAX_KEY} characters.")
    if not _KEY.fullmatch(stated):
        raise MalformedIdempotencyKey(
            "An Idempotency-Key is printable ASCII, as it is or in double quotes, such as a UUID."
        )
    return _ESCAPED.sub(r"\1", stated[1:-1]) if stated.startswith('"') else stated
