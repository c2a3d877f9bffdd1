"""The examples of a search, an embedding or a prediction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from models.domain.errors import InvalidInput, NotFound
from models.domain.job_payloads import (
    EmbeddingPayload,
    Example,
    JobPayload,
    PredictionPayload,
    RecommendationPayload,
    SearchPayload,
)
from models.domain.regions import SearchedRegion


class QueryPhoto(NamedTuple):
    """A photo by its SHA-256, or a part of it: drawn, or its subject."""

    sha256: str
    region: SearchedRegion | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Examples that the results should look like, and examples that they should not.

    An example is the photos of one listing, or one photo. `listings` are those that are named: they
    are never found themselves.
    """

    positives: list[list[QueryPhoto]]
    negatives: list[list[QueryPhoto]]
    listings: set[UUID]

    @property
    def photos(self) -> list[QueryPhoto]:
        """All photos of all examples, each once."""
        return list(dict.fromkeys(chain(*self.positives, *self.negatives)))


def listings_named(payload: JobPayload) -> set[UUID]:
    """The listings that a query's payload names as examples."""
    if isinstance(payload, RecommendationPayload):
        return set() if payload.listing_id is None else {payload.listing_id}
    positives, negatives = _examples(payload)
    return {example for example in (*positives, *negatives) if isinstance(example, UUID)}


def query_of(payload: JobPayload, photos_of: Mapping[UUID, Sequence[str]]) -> Query:
    """The query that a job asks for; `photos_of` are the SHA-256 of the listings that it names.

    Raises NotFound when one of them is not there, and InvalidInput for a job of a type that asks
    for no query. That of a recommendation has no photos: it is made of vectors that are stored.
    """
    if isinstance(payload, RecommendationPayload):
        named = listings_named(payload)
        if not named <= photos_of.keys():
            raise NotFound("There is no such listing.")
        return Query([], [], named)
    positives, negatives = _examples(payload)
    region = payload.region if isinstance(payload, SearchPayload) else None
    return Query(
        [_photos(example, photos_of, region) for example in positives],
        [_photos(example, photos_of) for example in negatives],
        listings_named(payload),
    )


def _examples(payload: JobPayload) -> tuple[Iterable[Example], Iterable[Example]]:
    """The positive and the negative ones."""
    match payload:
        case SearchPayload():
            return payload.positive, payload.negative
        case PredictionPayload():
            return [payload.example], []
        case EmbeddingPayload():
            return [payload.photo], []
        case _:
            raise InvalidInput(f"A job of type {payload.job_type} is no query.")


def _photos(
    example: Example, photos_of: Mapping[UUID, Sequence[str]], region: SearchedRegion | None = None
) -> list[QueryPhoto]:
    if not isinstance(example, UUID):
        return [QueryPhoto(example, region)]
    if example not in photos_of:
        raise NotFound("There is no such listing.")
    return [QueryPhoto(sha256) for sha256 in photos_of[example]]
