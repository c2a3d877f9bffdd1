"""Listings: create, read, delete, in bulk."""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.auth import require_scope
from api.deps import ListingId, Resources, ResourcesDep
from api.idempotency.dependency import KeyedResources
from api.jobs.responses import accepted_job
from api.jobs.schemas import BatchJob, JobOut
from api.listings import forms, service
from api.listings.schemas import ListingAccepted, ListingIn, ListingOut, ListingPage
from api.openapi import BODY_REFUSED, KEY_REFUSED, NO_SUCH, PHOTO, described_bulk, described_form
from api.pagination import PageCursor, PageSize, next_cursor
from api.schemas import LINE
from models.domain.limits import MAX_EXTERNAL_ID
from models.domain.types import Scope

T = TypeVar("T")

router = APIRouter(prefix="/v1", tags=["listings"], responses=KEY_REFUSED)
WRITE = [Depends(require_scope(Scope.WRITE))]
READ = [Depends(require_scope(Scope.SEARCH))]

ExternalId = Annotated[
    str | None,
    Query(max_length=MAX_EXTERNAL_ID, description="What the feed calls a listing by."),
    LINE,
]
FeedName = Annotated[
    str | None, Query(max_length=200, description="The name of the feed that brought a listing.")
]

_LISTING_FORM = described_form(
    {
        forms.LISTING_PART: ListingIn.model_json_schema(),
        forms.PHOTOS_PART: {
            "type": "array",
            "items": PHOTO,
            "minItems": 1,
            "maxItems": forms.MAX_PHOTOS,
        },
    }
)
_BATCH_FORM = described_bulk(
    forms.LISTINGS_PART,
    {
        "type": "string",
        "format": "binary",
        "description": "NDJSON, a JSON array, or a table in UTF-8 or as Excel exports it: a "
        "header, then a listing a line, fields separated by `,`, `;`, `|` or tabs, photos by "
        "spaces. It is told by its content, whatever its media type. Fields and columns: "
        + ", ".join(forms.COLUMNS),
    },
)


@router.post(
    "/listings",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_LISTING_FORM,
    responses=BODY_REFUSED,
    dependencies=WRITE,
)
async def create(
    request: Request, response: Response, resources: KeyedResources
) -> ListingAccepted:
    """Store a listing with its photos; it can be found once its job has succeeded."""
    return await _put(request, response, resources, uuid4())


@router.put(
    "/listings/{listing_id}",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_LISTING_FORM,
    responses={**NO_SUCH, **BODY_REFUSED},
    dependencies=WRITE,
)
async def put(
    listing_id: ListingId, request: Request, response: Response, resources: ResourcesDep
) -> ListingAccepted:
    """Create a listing under the caller's id, or replace it and its photos."""
    return await _put(request, response, resources, listing_id)


@router.post(
    "/listings:batch",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BATCH_FORM,
    responses=BODY_REFUSED,
    dependencies=WRITE,
    response_model=BatchJob,
)
async def batch(request: Request, response: Response, resources: KeyedResources) -> JobOut:
    """Store many listings at once. Rows with errors are listed in the job; the others go on.

    Rows name their `photos`: parts of this form, or stored photos by their SHA-256. A column that
    is not known is refused before anything is stored, an unknown field of JSON with its row.
    """
    stated = await forms.read_batch(request, resources.max_upload_bytes)
    parts = await _in_bulk(resources, partial(service.store_parts, resources, stated))
    job = await run_in_threadpool(service.put_batch, resources, stated, parts)
    return accepted_job(job, response)


@router.get("/listings", dependencies=READ)
def page(
    resources: ResourcesDep,
    cursor: PageCursor,
    limit: PageSize = 50,
    external_id: ExternalId = None,
    feed: FeedName = None,
) -> ListingPage:
    """Listings, newest first: all, or those that a feed calls by an id of its own."""
    views = service.list_listings(resources, limit, cursor, external_id=external_id, feed=feed)
    following = next_cursor([(view.listing.created_at, view.listing.id) for view in views], limit)
    return ListingPage(items=[ListingOut.of(view) for view in views], next_cursor=following)


@router.get("/listings/{listing_id}", responses=NO_SUCH, dependencies=READ)
def read(listing_id: ListingId, resources: ResourcesDep) -> ListingOut:
    """A listing."""
    return ListingOut.of(service.read_listing(resources, listing_id))


@router.delete(
    "/listings/{listing_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NO_SUCH,
    dependencies=WRITE,
)
def delete(listing_id: ListingId, resources: ResourcesDep) -> None:
    """Remove a listing: the next search will not find it."""
    service.delete_listing(resources, listing_id)


async def _put(
    request: Request, response: Response, resources: Resources, listing_id: UUID
) -> ListingAccepted:
    stated, photos = await forms.read_listing(request, resources.max_upload_bytes)
    data = stated.to_data(listing_id)
    stored = await _in_bulk(resources, partial(service.store_photos, resources, photos))
    job = await run_in_threadpool(service.put_listing, resources, data, stored)
    return ListingAccepted(listing_id=listing_id, job=accepted_job(job, response))


async def _in_bulk(resources: Resources, call: Callable[[], T]) -> T:
    """What `call` returns, or raises, in a thread that leaves the cores to others."""
    return await asyncio.get_running_loop().run_in_executor(resources.bulk, call)
