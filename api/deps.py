"""Dependencies of routes: the application's resources, and ids from the path."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Semaphore
from typing import Annotated
from uuid import UUID

from anyio import CapacityLimiter
from fastapi import Depends, Path, Request
from sqlalchemy.orm import Session

from api.access.key_uses import KeyUses
from api.caller import NOBODY, Caller
from api.draining import Draining
from api.jobs.backlog import Backlog
from api.jobs.ended_jobs import EndedJobs
from api.limits.bulk_slots import BulkSlots
from api.limits.limiter import RateLimiter
from api.limits.sharing import SharedCounts
from db.events.store import StoredBatch
from db.group_commit import GroupCommit
from db.idempotency import Answer, Claim, complete_claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Job
from models.domain.errors import NotFound
from models.domain.searches.options import RankDefaults
from workers.queue.background_publisher import BackgroundPublisher

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Resources:
    """Connections and limits shared by all requests; made once, with the application."""

    database: Database
    accepted: GroupCommit[Job]
    """Stores jobs, and publishes them when they are committed."""
    events: GroupCommit[StoredBatch]
    """Stores events."""
    many_events: CapacityLimiter
    few_events: CapacityLimiter
    """Limit the large and the small batches of events that are stored at once, in a transaction
    that others wait for on SQLite."""
    events_kept: timedelta
    """From their time on."""
    store: PhotoStore
    publisher: BackgroundPublisher
    ended_jobs: EndedJobs
    draining: Draining
    backlog: Backlog
    key_uses: KeyUses
    rate_limiter: RateLimiter
    shared_counts: SharedCounts
    bulk_slots: BulkSlots
    max_upload_bytes: int
    uploads: CapacityLimiter
    """Limits the threads that store what was uploaded, mostly waiting for the disk."""
    bulk: ThreadPoolExecutor
    """Threads for photos of listings, which leave the cores to those who wait for an answer."""
    decoding: Semaphore
    """Limits how many photos are decoded at once: each may need hundreds of megabytes."""
    fetches_photos: bool
    """Whether photos of listings may be named by URL."""
    webhook_hosts: frozenset[str]
    """Hosts that webhooks may be at although their addresses are private."""
    allow_anonymous: bool
    """Whether calls of this machine other than admin calls need no key; only on loopback."""
    ranking: RankDefaults
    exclude_seen: bool
    """Whether what a user has viewed is not recommended, unless a request says otherwise."""
    caller: Caller = NOBODY
    """Who makes the request that they are given to; nobody before that is known."""
    claim: Claim | None = None
    """Of one request that has an `Idempotency-Key`: its ownership of that."""

    def now(self) -> datetime:
        """The database's time, in UTC: other processes compare theirs with what is stored of it.

        Raises Unavailable if the database was never reached.
        """
        return self.database.now()

    def record(self, session: Session, answer: Answer) -> None:
        """Store the answer to a request with an `Idempotency-Key`, in the transaction of what it
        has made, if it has such a key.

        Raises IdempotencyInFlight, so that nothing is made, if another request has the key by now.
        """
        if self.claim is not None:
            complete_claim(session, self.claim, answer, self.now())


# Dependencies that wait for nothing are coroutines: FastAPI runs functions in a thread each.
async def resources_of(request: Request) -> Resources:
    """The resources of the application that a request is to, with its caller."""
    resources: Resources = request.app.state.resources
    caller: Caller | None = getattr(request.state, "caller", None)
    return resources if caller is None else replace(resources, caller=caller)


ResourcesDep = Annotated[Resources, Depends(resources_of)]


def _parse_id(value: str, what: str) -> UUID:
    # A malformed id is answered like an unknown one, with 404 rather than 422.
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(f"There is no such {what}.") from None


async def _job_id(job_id: Annotated[str, Path(description="Id of a job.")]) -> UUID:
    return _parse_id(job_id, "job")


async def _search_id(search_id: Annotated[str, Path(description="Id of a search.")]) -> UUID:
    return _parse_id(search_id, "search")


async def _recommendation_id(
    recommendation_id: Annotated[str, Path(description="Id of a recommendation.")],
) -> UUID:
    return _parse_id(recommendation_id, "recommendation")


async def _saved_search_id(
    search_id: Annotated[str, Path(description="Id of a saved search.")],
) -> UUID:
    return _parse_id(search_id, "saved search")


async def _listing_id(listing_id: Annotated[str, Path(description="Id of a listing.")]) -> UUID:
    return _parse_id(listing_id, "listing")


async def _photo_id(sha256: Annotated[str, Path(description="SHA-256 of a photo.")]) -> str:
    if not _SHA256.fullmatch(sha256):
        raise NotFound("There is no such photo.")
    return sha256


JobId = Annotated[UUID, Depends(_job_id)]
SearchId = Annotated[UUID, Depends(_search_id)]
RecommendationId = Annotated[UUID, Depends(_recommendation_id)]
SavedSearchId = Annotated[UUID, Depends(_saved_search_id)]
ListingId = Annotated[UUID, Depends(_listing_id)]
PhotoId = Annotated[str, Depends(_photo_id)]
