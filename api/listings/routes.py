"""Listings: create, read, change, delete, in bulk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.auth import require_scope
from api.conditional import IfMatch, is_current
from api.deps import ListingId, Resources, ResourcesDep
from api.idempotency.dependency import KeyedResources
from api.jobs.responses import accepted_job
from api.jobs.schemas import BatchJob, JobOut
from api.limits.dependency import bulk_slot
from api.listings import forms, service
from api.listings.photo_references import MAX_PHOTOS
from api.listings.schemas import (
    ListingAccepted,
    ListingBodyIn,
    ListingIn,
    ListingOut,
    ListingPage,
    ListingPartIn,
    ListingPhotosIn,
)
from api.listings.stated_photos import check_urls
from api.openapi import (
    BODY_REFUSED,
    ETAG,
    KEY_REFUSED,
    NO_SUCH,
    PHOTO,
    described_bulk,
    described_form,
    described_patch,
)
from api.pagination import PageCursor, PageSize, next_cursor
from api.problems import Responses
from api.problems import responses as problems
from api.schemas import LINE
from db.catalogue.listings import ListingView
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

Erase = Annotated[
    bool,
    Query(description="Take every trace of it away, rather than keep it for a time."),
]

_LISTING_FORM = described_form(
    {
        forms.LISTING_PART: ListingPartIn.model_json_schema(),
        forms.PHOTOS_PART: {
            "type": "array",
            "items": PHOTO,
            "minItems": 1,
            "maxItems": MAX_PHOTOS,
            "description": "Needed unless the listing names `photos`.",
        },
    },
    required=[forms.LISTING_PART],
    body=ListingBodyIn,
)
_CHANGED: Responses = {
    HTTPStatus.OK.value: {
        "model": ListingOut,
        "description": "The listing as it is now; it needs no embedding.",
        "headers": ETAG,
    },
    HTTPStatus.ACCEPTED.value: {
        "model": ListingAccepted,
        "description": "The listing is changed; it can be found by its new photos once the job has "
        "succeeded.",
    },
}
_BATCH_FORM = described_bulk(
    forms.LISTINGS_PART,
    {
        "type": "string",
        "format": "binary",
        "description": "NDJSON, a JSON array, or a table in UTF-8 or as Excel exports it: a "
        "header, then a listing a line, fields separated by `,`, `;`, `|` or tabs, photos by "
        "spaces. It is told by its content, whatever its media type. Fields and columns: "
        + ", ".join(forms.COLUMNS)
        + ". The column `attributes` has an object of JSON; one such as `attributes.brand` has one "
        "attribute: `true` and `false` are booleans, plain numbers are numbers, all else is text.",
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
    dependencies=[*WRITE, bulk_slot],
    response_model=BatchJob,
)
async def batch(request: Request, response: Response, resources: KeyedResources) -> JobOut:
    """Store many listings at once. Rows with errors are listed in the job; the others go on.

    Rows name their `photos`: parts of this form, stored photos by their SHA-256, or URLs where that
    is allowed; what can't be fetched is listed in the job later. A column that is not known is
    refused before anything is stored, an unknown field of JSON with its row.
    """
    stated = await forms.read_batch(request, resources.max_upload_bytes)
    parts = await _in(resources.bulk, partial(service.store_parts, resources, stated))
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


@router.get(
    "/listings/{listing_id}",
    responses={HTTPStatus.OK.value: {"headers": ETAG}, **NO_SUCH},
    dependencies=READ,
)
def read(listing_id: ListingId, response: Response, resources: ResourcesDep) -> ListingOut:
    """A listing."""
    listing = ListingOut.of(service.read_listing(resources, listing_id))
    response.headers["ETag"] = listing.tag
    return listing


@router.patch(
    "/listings/{listing_id}",
    openapi_extra=described_patch(forms.PATCH_TYPES, ListingIn, ListingPhotosIn),
    responses={
        **_CHANGED,
        **NO_SUCH,
        **BODY_REFUSED,
        **problems(HTTPStatus.PRECONDITION_FAILED),
    },
    response_model=None,
    dependencies=WRITE,
)
async def change(
    listing_id: ListingId,
    request: Request,
    response: Response,
    resources: ResourcesDep,
    if_match: IfMatch,
) -> ListingOut | ListingAccepted:
    """Change what is stated of a listing, and leave the rest (JSON Merge Patch, RFC 7396).

    A value of null removes; attributes are changed one by one, photos are replaced as a whole.
    Nothing is embedded again: only photos that were never embedded need a job. The result must be a
    listing that `PUT` would take.
    """
    patch = await forms.read_listing_patch(request)

    def is_expected(view: ListingView) -> bool:
        return not if_match or is_current(ListingOut.of(view).tag, if_match)

    changed = await run_in_threadpool(
        service.patch_listing, resources, listing_id, patch, is_expected
    )
    if changed.job is None:
        listing = ListingOut.of(changed.listing)
        response.headers["ETag"] = listing.tag
        return listing
    response.status_code = HTTPStatus.ACCEPTED
    return ListingAccepted(listing_id=listing_id, job=accepted_job(changed.job, response))


@router.delete(
    "/listings/{listing_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NO_SUCH,
    dependencies=WRITE,
)
def delete(listing_id: ListingId, resources: ResourcesDep, *, erase: Erase = False) -> None:
    """Remove a listing: the next search will not find it.

    With `erase`, also one that was deleted before is taken away with every trace: its text, photos,
    vectors and events at once, what jobs and indexes say of it soon after. Nothing brings it back.
    """
    if erase:
        service.erase_listing(resources, listing_id)
    else:
        service.delete_listing(resources, listing_id)


async def _put(
    request: Request, response: Response, resources: Resources, listing_id: UUID
) -> ListingAccepted:
    stated = await forms.read_listing(request, resources.max_upload_bytes)
    check_urls(resources, stated.references)
    data = stated.listing.to_data(listing_id)
    stored = await _in(resources.listings, partial(service.store_photos, resources, stated.photos))
    job = await run_in_threadpool(service.put_listing, resources, data, stated.references, stored)
    return ListingAccepted(listing_id=listing_id, job=accepted_job(job, response))


async def _in(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    """What `call` returns, or raises, in a thread that leaves the cores to others."""
    return await asyncio.get_running_loop().run_in_executor(threads, call)
