"""The examples of a search, an embedding or a prediction."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from db.catalogue.listings import get_listing
from db.session import Database
from models.domain.errors import InvalidInput
from models.domain.job_payloads import (
    EmbeddingPayload,
    Example,
    JobPayload,
    PredictionPayload,
    SearchPayload,
)
from models.domain.regions import Region


class QueryPhoto(NamedTuple):
    """A photo by its SHA-256, or a part of it."""

    sha256: str
    region: Region | None = None


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

    @property
    def hashes(self) -> list[str]:
        """The SHA-256 of all photos of all examples."""
        return [photo.sha256 for photo in self.photos]


def query_of(payload: JobPayload, database: Database) -> Query:
    """The query that a job asks for.

    Raises NotFound when it names a listing that is not there, and InvalidInput for a job of a type
    that asks for no query.
    """
    match payload:
        case SearchPayload():
            return _query(database, payload.positive, payload.negative, payload.region)
        case PredictionPayload():
            return _query(database, [payload.example])
        case EmbeddingPayload():
            return _query(database, [payload.photo])
        case _:
            raise InvalidInput(f"A job of type {payload.job_type} is no query.")


def _query(
    database: Database,
    positives: Iterable[Example],
    negatives: Iterable[Example] = (),
    region: Region | None = None,
) -> Query:
    positives, negatives = list(positives), list(negatives)
    with database.read() as session:
        return Query(
            [_photos_of(session, example, region) for example in positives],
            [_photos_of(session, example) for example in negatives],
            {example for example in [*positives, *negatives] if isinstance(example, UUID)},
        )


def _photos_of(
    session: Session, example: Example, region: Region | None = None
) -> list[QueryPhoto]:
    if isinstance(example, UUID):
        return [QueryPhoto(sha256) for sha256 in get_listing(session, example).photos]
    return [QueryPhoto(example, region)]
