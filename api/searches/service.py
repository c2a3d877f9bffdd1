"""Accepts searches: checks what they name, stores their photos, builds the job's payload."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from api.deps import Resources
from api.jobs.service import accept_and_publish, read_job_of_type
from api.photos.decoders import Decode
from api.photos.service import store_photo
from api.searches.ranking import ranking_of
from api.searches.schemas import (
    DEFAULT_LIMIT,
    RegionIn,
    SearchByPhotos,
    SearchForm,
    SearchIn,
    UserSearchIn,
    facet_requests,
    searched_region,
)
from db.catalogue.listing_photos import is_public, stored_photos
from db.catalogue.listings import require_listing
from db.events.users import user_key
from db.tables import Job
from db.vectors.encoders import active_encoder
from models.domain.errors import CursorExpired, InvalidInput, NotFound
from models.domain.job_payloads import Example, SearchPayload, example_of
from models.domain.job_results.searches import SearchResult
from models.domain.regions import AUTO
from models.domain.searches.block_cursors import BlockCursor, read_cursor
from models.domain.types import JobType
from models.text.query import parse_query


async def accept_search(resources: Resources, query: SearchByPhotos | UserSearchIn) -> Job:
    """Accept a search. Raises InvalidInput, NotFound, or CursorExpired for a next page."""
    if isinstance(query, SearchByPhotos):
        work = partial(_accept_by_photos, resources, query)
        return await resources.decoders.run(work, resources.uploads)
    accept = _accept_by_names if query.cursor is None else _accept_next_page
    return await run_in_threadpool(accept, resources, query)


def _accept_by_photos(resources: Resources, query: SearchByPhotos, decode: Decode) -> Job:
    payload = _of_user(resources, payload_by_photos(resources, query, decode), query.user)
    return accept_and_publish(resources, payload, total=1)


def payload_by_photos(resources: Resources, query: SearchByPhotos, decode: Decode) -> SearchPayload:
    """Store the photos of a search, and give what it asks for. Raises InvalidInput."""
    options = query.options
    if options.region and len(query.positive) > 1:
        raise InvalidInput("A region needs exactly one photo.")
    positive = [store_photo(resources, photo, decode) for photo in query.positive]
    if isinstance(options.region, RegionIn):
        options.region.to_region().box(positive[0].width, positive[0].height)
    wanted = [photo.sha256 for photo in positive]
    unwanted = [store_photo(resources, photo, decode).sha256 for photo in query.negative]
    if set(wanted) & set(unwanted):
        raise InvalidInput("What is positive can't be negative too.")
    return _payload(resources, wanted, unwanted, options, options.limit)


def _accept_by_names(resources: Resources, query: UserSearchIn) -> Job:
    payload = _of_user(resources, payload_by_names(resources, query), query.user)
    return accept_and_publish(resources, payload, total=1)


def _of_user(resources: Resources, payload: SearchPayload, user: str | None) -> SearchPayload:
    """The search as this user's, whose key it has."""
    if user is None:
        return payload
    with resources.database.read() as session:
        return payload.model_copy(update={"user": user_key(session, user).hex()})


def payload_by_names(resources: Resources, query: SearchIn) -> SearchPayload:
    """What a search by listings and stored photos asks for. Raises InvalidInput and NotFound."""
    positive = [example_of(name) for name in query.positive or []]
    if query.listing_id is not None:
        positive = [query.listing_id]
    negative = [example_of(name) for name in query.negative]
    with resources.database.read() as session:
        for example in [*positive, *negative]:
            _require(session, example)
        if isinstance(query.region, RegionIn):
            sha256 = str(positive[0])
            photo = stored_photos(session, [sha256])[sha256]
            query.region.to_region().box(photo.width, photo.height)
    return _payload(resources, positive, negative, query, query.limit or DEFAULT_LIMIT)


def _require(session: Session, example: Example) -> None:
    """Raise NotFound unless the listing exists, or a listing shows the photo."""
    if isinstance(example, UUID):
        require_listing(session, example)
    elif not is_public(session, example):
        raise NotFound("There is no such photo.")


def _payload(
    resources: Resources,
    positive: Sequence[Example],
    negative: Sequence[Example],
    query: SearchForm | SearchIn,
    limit: int,
) -> SearchPayload:
    """A search by these examples, without repeated ones, or by text alone."""
    if query.text is not None:
        parse_query(query.text)
    hybrid = query.text is not None and bool(positive)
    return SearchPayload(
        positive=tuple(dict.fromkeys(positive)),
        negative=tuple(dict.fromkeys(negative)),
        region=searched_region(query.region),
        text=query.text,
        filter=query.filter and query.filter.to_filter(),
        rank=ranking_of(
            query.rank, query.near, resources.ranking, hybrid=hybrid, fusion=query.fusion
        ),
        fusion=query.fusion,
        near=query.near and query.near.to_place(),
        diversity=query.diversity and query.diversity.to_diversity(),
        min_similarity=query.min_similarity,
        facets=facet_requests(query.facets),
        limit=limit,
    )


def _accept_next_page(resources: Resources, query: UserSearchIn) -> Job:
    cursor = read_cursor(query.cursor or "")
    job = read_job_of_type(resources, cursor.search_id, JobType.SEARCH)
    before = SearchPayload.parse(job.payload)
    if before.is_by_look_alone == isinstance(cursor, BlockCursor):
        raise InvalidInput("The cursor is malformed.")
    with resources.database.read() as session:
        active = active_encoder(session)
    if before.positive and active is not None and active.fingerprint != cursor.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    changed: dict[str, object] = {"cursor": query.cursor, "limit": query.limit or before.limit}
    if before.region == AUTO and job.result is not None:
        # The same part as on the page before, wherever it would be found now.
        changed["region"] = SearchResult.model_validate(job.result).region
    return accept_and_publish(resources, before.model_copy(update=changed), total=1)
