"""Conditional requests (RFC 9110, section 13)."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Depends, Header, Request

_ENTITY_TAG: Final = re.compile(r'"[^"]*"')
_STRONG_OR_WEAK: Final = re.compile(r'(?:W/)?"[^"]*"')


def is_held(tag: str, if_none_match: Sequence[str]) -> bool:
    """Whether who asks has what this entity tag is of, by all lines of `If-None-Match`.

    Tags are compared weakly: one that begins with `W/` is the same as without it.
    """
    return any(line.strip() == "*" or tag in _ENTITY_TAG.findall(line) for line in if_none_match)


def is_current(tag: str, if_match: Sequence[str]) -> bool:
    """Whether what is to be changed is still what who asks has seen, by all lines of `If-Match`.

    Tags are compared strongly: one that begins with `W/` is never it.
    """
    return any(line.strip() == "*" or tag in _STRONG_OR_WEAK.findall(line) for line in if_match)


async def _stated_tags(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(description="The `ETag` of the listing that is to be changed, as it was read."),
    ] = None,
) -> Sequence[str]:
    """All lines of the header: FastAPI gives the last one to who asks for a text."""
    del if_match  # It is declared for the description.
    return request.headers.getlist("if-match")


IfMatch = Annotated[Sequence[str], Depends(_stated_tags)]
