"""Accepts searches: checks what they name, stores their photos, builds the job's payload."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from anyio import to_thread
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from api.deps import Resources
from api.jobs.service import accept_and_publish, read_job_of_type
from api.photos.service import store_photo
from api.searches.schemas import DEFAULT_LIMIT, FilterIn, RegionIn, SearchByPhotos, SearchIn
from db.catalogue.listing_photos import is_public, stored_photos
from db.catalogue.listings import get_listing
from db.tables import Job
from db.vectors.encoders import active_encoder
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, InvalidInput, NotFound
from models.domain.types import JobType
from workers.queue.messages import is_photo

Payload = dict[str, Any]


async def accept_search(resources: Resources, asked: SearchByPhotos | SearchIn) -> Job:
    """Accept a search. Raises InvalidInput, NotFound, or CursorExpired for a next page."""
    if isinstance(asked, SearchByPhotos):
        return await to_thread.run_sync(
            _accept_by_photos, resources, asked, limiter=resources.decoding
        )
    accept = _accept_by_names if asked.cursor is None else _accept_next_page
    return await run_in_threadpool(accept, resources, asked)


def _accept_by_photos(resources: Resources, asked: SearchByPhotos) -> Job:
    options = asked.options
    if options.region and len(asked.positive) > 1:
        raise InvalidInput("A region needs exactly one photo.")
    positive = [store_photo(resources, data) for data in asked.positive]
    if options.region:
        options.region.to_region().box(positive[0].width, positive[0].height)
    names = [photo.sha256 for photo in positive]
    unwanted = [store_photo(resources, data).sha256 for data in asked.negative]
    if set(names) & set(unwanted):
        raise InvalidInput("What is positive can't be negative too.")
    payload = _payload(names, unwanted, options.region, options.filter, options.limit)
    return accept_and_publish(resources, JobType.SEARCH, payload, total=1)


def _accept_by_names(resources: Resources, asked: SearchIn) -> Job:
    positive = asked.positive or [str(asked.listing_id)]
    with resources.database.read() as session:
        for name in [*positive, *asked.negative]:
            _require(session, name)
        if asked.region:
            photo = stored_photos(session, positive)[positive[0]]
            asked.region.to_region().box(photo.width, photo.height)
    limit = asked.limit or DEFAULT_LIMIT
    payload = _payload(positive, asked.negative, asked.region, asked.filter, limit)
    return accept_and_publish(resources, JobType.SEARCH, payload, total=1)


def _require(session: Session, name: str) -> None:
    """Raise NotFound unless there is such a listing, or a listing that shows such a photo."""
    if not is_photo(name):
        get_listing(session, UUID(name))
    elif not is_public(session, name):
        raise NotFound("There is no such photo.")


def _accept_next_page(resources: Resources, asked: SearchIn) -> Job:
    cursor = Cursor.decode(asked.cursor or "")
    before = read_job_of_type(resources, cursor.search_id, JobType.SEARCH)
    with resources.database.read() as session:
        active = active_encoder(session)
    if active is not None and active.fingerprint != cursor.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    payload = _next_payload(before.payload, asked.cursor, asked.limit)
    return accept_and_publish(resources, JobType.SEARCH, payload, total=1)


def _payload(
    positive: Sequence[str],
    negative: Sequence[str],
    region: RegionIn | None,
    wanted: FilterIn | None,
    limit: int,
) -> Payload:
    """What the worker is given; each example once."""
    payload: Payload = {"positive": list(dict.fromkeys(positive)), "limit": limit}
    if negative:
        payload["negative"] = list(dict.fromkeys(negative))
    if region:
        payload["region"] = region.to_region().to_payload()
    if wanted:
        payload["filter"] = wanted.to_filter().to_payload()
    return payload


def _next_payload(before: Payload, cursor: str | None, limit: int | None) -> Payload:
    """The payload of the page before, with a cursor, and with another limit if one is stated."""
    payload = {**before, "cursor": cursor}
    if limit:
        payload["limit"] = limit
    return payload
