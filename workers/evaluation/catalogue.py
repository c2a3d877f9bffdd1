"""The catalogue that recommendations are evaluated on, read from the database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from db.catalogue.lifetimes import Lifetime, lifetimes
from db.vectors.encoders import active_encoder
from db.vectors.of_listings import count_listing_vectors, listing_vectors
from models.domain.errors import InvalidInput, SetupError
from models.domain.searches.facts import ListingFacts
from models.evaluation.recommendations.events import Integers, Lifetimes
from models.evaluation.recommendations.similarity import Similarities

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = np.iinfo(np.int64).max

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class StoredCatalogue:
    """All n listings that there are or were, in order of their numbers.

    `names` (n,) are what events call them: their ids, or what a feed calls them. `encoder` is the
    label of the one whose vectors they are compared by.
    """

    facts: Sequence[ListingFacts]
    names: Sequence[str]
    lifetimes: Lifetimes
    similarities: Similarities
    encoder: str

    @property
    def numbers(self) -> Integers:
        """The listings' numbers (n,), ascending."""
        return np.array([one.number for one in self.facts], np.int64)


def stored_catalogue(
    session: Session, feed: str | None = None, on_progress: OnProgress | None = None
) -> StoredCatalogue:
    """The listings of the database, or of a feed, with the vectors of the active encoder.

    About 500 bytes a listing, and its vectors. `on_progress` counts these. Raises `InvalidInput`
    where there are no listings, `SetupError` where there is no active encoder.
    """
    encoder = active_encoder(session)
    if encoder is None:
        raise SetupError("No photo has been embedded yet: seed a feed, with a worker running.")
    listings = list(lifetimes(session, feed))
    if not listings:
        raise InvalidInput(
            "There are no listings."
            if feed is None
            else f"No listing is of a feed with the name {feed}."
        )
    return StoredCatalogue(
        facts=[one.facts for one in listings],
        names=[_name(one, feed) for one in listings],
        lifetimes=Lifetimes(
            np.array([milliseconds(one.facts.created_at) for one in listings], np.int64),
            np.array(
                [
                    _NEVER if one.ended_at is None else milliseconds(one.ended_at)
                    for one in listings
                ],
                np.int64,
            ),
        ),
        similarities=_similarities(session, encoder.id, listings, encoder.dimension, on_progress),
        encoder=encoder.spec.label,
    )


def milliseconds(at: datetime) -> int:
    """The milliseconds from 1970 until a time."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _name(listing: Lifetime, feed: str | None) -> str:
    """A feed whose listings have UUIDs calls them by these."""
    if feed is not None and listing.external_id is not None:
        return listing.external_id
    return str(listing.facts.listing_id)


def _similarities(
    session: Session,
    encoder_id: int,
    listings: Sequence[Lifetime],
    dimension: int,
    on_progress: OnProgress | None,
) -> Similarities:
    count = count_listing_vectors(session, encoder_id)
    vectors = np.zeros((count, dimension), np.float16)
    numbers = np.zeros(count, np.int64)
    done = 0
    for batch in listing_vectors(session, encoder_id):
        # What was added since they were counted is left out.
        end = min(count, done + len(batch.numbers))
        vectors[done:end] = batch.vectors[: end - done]
        numbers[done:end] = batch.numbers[: end - done]
        done = end
        if on_progress is not None:
            on_progress(done, count)
    known = np.array([one.facts.number for one in listings], np.int64)
    rows = np.searchsorted(known, numbers[:done])
    kept = known[np.minimum(rows, len(known) - 1)] == numbers[:done]
    return Similarities(
        vectors[:done] if kept.all() else vectors[:done][kept], rows[kept], len(known)
    )
