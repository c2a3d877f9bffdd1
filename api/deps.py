"""What routes ask for: the application's resources, and ids from the path."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from anyio import CapacityLimiter
from fastapi import Depends, Path, Request

from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.clock import utc_now
from models.domain.errors import NotFound
from workers.queue.publisher import JobPublisher

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Resources:
    """Connections and limits shared by all requests; made once, with the application."""

    database: Database
    store: PhotoStore
    publisher: JobPublisher
    max_upload_bytes: int
    decoding: CapacityLimiter
    """Photos are decoded by so many threads at a time: each may need hundreds of megabytes."""
    open_to_all: bool
    """Only admin calls need a key; set only where nobody else can reach the port."""

    @staticmethod
    def now() -> datetime:
        """The time, in UTC."""
        return utc_now()


def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


ResourcesDep = Annotated[Resources, Depends(_resources)]


def _parsed(value: str, what: str) -> UUID:
    # An id that can't be one is unknown like any other, not a mistake in the request's form.
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(f"There is no such {what}.") from None


def _job_id(job_id: Annotated[str, Path(description="Id of a job.")]) -> UUID:
    return _parsed(job_id, "job")


def _search_id(search_id: Annotated[str, Path(description="Id of a search.")]) -> UUID:
    return _parsed(search_id, "search")


def _listing_id(listing_id: Annotated[str, Path(description="Id of a listing.")]) -> UUID:
    return _parsed(listing_id, "listing")


def _photo_id(sha256: Annotated[str, Path(description="SHA-256 of a photo.")]) -> str:
    if not _SHA256.fullmatch(sha256):
        raise NotFound("There is no such photo.")
    return sha256


JobId = Annotated[UUID, Depends(_job_id)]
SearchId = Annotated[UUID, Depends(_search_id)]
ListingId = Annotated[UUID, Depends(_listing_id)]
PhotoId = Annotated[str, Depends(_photo_id)]
