"""The listings that have the words of a search."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.orm import Session

from models.domain.filters import ListingFilter
from workers.search.blocks import Words


def words_of(
    session: Session, text: str, wanted: ListingFilter, excluded: Collection[UUID]
) -> Words:
    """The listings that have these words and pass the filter, but for those excluded."""
    raise NotImplementedError
