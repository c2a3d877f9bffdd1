"""Conditional requests (RFC 9110, section 13)."""

import re
from collections.abc import Sequence
from typing import Final

_ENTITY_TAG: Final = re.compile(r'"[^"]*"')


def is_held(tag: str, if_none_match: Sequence[str]) -> bool:
    """Whether who asks has what this entity tag is of, by all lines of `If-None-Match`.

    Tags are compared weakly: one that begins with `W/` is the same as without it.
    """
    return any(line.strip() == "*" or tag in _ENTITY_TAG.findall(line) for line in if_none_match)
