"""What a ranking reads of a listing. Standard library only."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class ListingFacts(NamedTuple):
    """A listing as it is ranked; degrees are WGS 84.

    `price` is None where it is a placeholder, `category` a path, `popularity` the number of the
    attribute that counts it.
    """

    listing_id: UUID
    number: int
    created_at: datetime
    price: float | None = None
    currency: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    seller: str | None = None
    category: str | None = None
    popularity: float | None = None
