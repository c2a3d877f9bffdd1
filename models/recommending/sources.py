"""Where candidates come from: a catalogue in a database and an index, or arrays in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.domain.searches.facts import ListingFacts
from models.recommending.whitening import Whitening

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Together:
    """How many users, distinct and decayed or not, touched `listing_id` who touched `beside`."""

    beside: UUID
    listing_id: UUID
    users: float


class Sources(Protocol):
    """What recommendations are made from, all as of one moment.

    `nearest`, `together`, `popular` and `fresh` name only what may be recommended at all: active
    listings that pass the request's filter. What this user must not be shown is left out by
    `recommend` itself.
    """

    def vectors(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Vector]:
        """A unit vector (dimension,) of each listing that has one, sold ones included."""
        ...

    def whitening(self) -> Whitening | None:
        """The map they are compared by, fitted once to a sample of the catalogue; None: as is."""
        ...

    def facts(self, listing_ids: Collection[UUID]) -> Mapping[UUID, ListingFacts]:
        """What is known of each listing, sold ones included.

        `popularity` is the number of distinct users who touched it, each counting by the age of
        their touch, and None below the floor of users.
        """
        ...

    def nearest(self, vectors: Vector, count: int) -> Sequence[Sequence[UUID]]:
        """The listings nearest to each of the vectors (n, dimension), best first, `count` each."""
        ...

    def together(self, listing_ids: Sequence[UUID], count: int) -> Sequence[Together]:
        """What other users of these listings touched beside them, above the floor of users.

        At most `count`, those with most users first.
        """
        ...

    def popular(self, count: int) -> Sequence[UUID]:
        """The most popular listings, best first."""
        ...

    def fresh(self, count: int) -> Sequence[UUID]:
        """The newest listings, newest first."""
        ...
