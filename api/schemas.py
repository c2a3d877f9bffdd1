"""Schemas that several features share. Names and shapes are the HTTP contract."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field

from models.domain.limits import (
    MAX_CATEGORY_DEPTH,
    MAX_CATEGORY_NAME,
    MAX_CATEGORY_PATH,
    MAX_USER,
)
from models.domain.text import CATEGORY_SEPARATOR, clean_category, clean_line, clean_text
from models.domain.types import ListingStatus

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

MAX_LIMIT = 100
"""Results of one search, or categories of one prediction, at most."""


def _text(rule: Callable[[str], str]) -> BeforeValidator:
    """Applies a rule for text, so that limits are checked of what it has made.

    NUL characters and halves of surrogate pairs are refused: no caller means to send them.
    """

    def apply(stated: object) -> object:
        if not isinstance(stated, str):
            return stated
        if "\x00" in stated:
            raise ValueError("must not contain NUL characters")
        if not stated.isascii() and _SURROGATE.search(stated):
            raise ValueError("must not contain halves of surrogate pairs")
        return rule(stated)

    return BeforeValidator(apply)


def _category_path(path: str) -> str:
    """A category path as the database has it, within its limits."""
    normal = clean_category(path)
    names = normal.split(CATEGORY_SEPARATOR)
    if len(names) > MAX_CATEGORY_DEPTH:
        raise ValueError(f"has more than {MAX_CATEGORY_DEPTH} levels")
    if any(len(name) > MAX_CATEGORY_NAME for name in names) or len(normal) > MAX_CATEGORY_PATH:
        raise ValueError(
            f"has a name over {MAX_CATEGORY_NAME} or altogether over {MAX_CATEGORY_PATH} characters"
        )
    return normal


AS_TYPED: Final = _text(str)
"""Text that only has to be text."""
LINE: Final = _text(clean_line)
LINES: Final = _text(clean_text)
"""Text by the rules of `models.domain.text`; in an annotation they follow the limits."""

CategoryPath = Annotated[str, _text(_category_path)]
"""By the same rules; empty if it names no category."""

UserId = Annotated[str, Field(min_length=1, max_length=MAX_USER), AS_TYPED]
"""The caller's pseudonym of a user: it is stored nowhere, see `db.events.users`."""

Price = Annotated[
    Decimal, Field(ge=0, le=Decimal("999999999999.99"), max_digits=14, decimal_places=2)
]

ShownStatus = Literal[ListingStatus.ACTIVE, ListingStatus.RESERVED, ListingStatus.SOLD]
"""The statuses that callers may state; deleting a listing is a call of its own."""


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable name of the error, for programs.")
    detail: str = Field(description="One sentence, for people.")
    errors: list[dict[str, str]] | None = None


class PhotoLink(BaseModel):
    """A photo, and where to read it."""

    id: str
    url: str

    @classmethod
    def of(cls, sha256: str) -> Self:
        """The photo with these bytes."""
        return cls(id=sha256, url=f"/v1/photos/{sha256}")


class PhotoOut(PhotoLink):
    """A photo of a listing."""

    incomplete: bool = Field(
        default=False,
        description="Whether up to a twentieth of its pixels was not in the file that was sent.",
    )
