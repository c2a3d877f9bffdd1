"""Schemas that several features share. Names and shapes are the HTTP contract."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from db.catalogue.categories import CATEGORY_SEPARATOR
from models.domain.limits import MAX_CATEGORY_DEPTH, MAX_CATEGORY_NAME, MAX_CATEGORY_PATH
from models.domain.types import ListingStatus

MAX_LIMIT = 100
"""Results of one search, or categories of one prediction, at most."""


def _storable(text: str) -> str:
    """Refuse NUL characters, which PostgreSQL can't store."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _category_path(path: str) -> str:
    """A category path with its separators as the database writes them."""
    parts = [part.strip() for part in path.split("/") if part.strip()]
    normal = CATEGORY_SEPARATOR.join(parts)
    if len(parts) > MAX_CATEGORY_DEPTH:
        raise ValueError(f"has more than {MAX_CATEGORY_DEPTH} levels")
    if any(len(part) > MAX_CATEGORY_NAME for part in parts) or len(normal) > MAX_CATEGORY_PATH:
        raise ValueError(
            f"has a name over {MAX_CATEGORY_NAME} or altogether over {MAX_CATEGORY_PATH} characters"
        )
    return normal


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_storable)]

CategoryPath = Annotated[Text, AfterValidator(_category_path)]
Price = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]

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
