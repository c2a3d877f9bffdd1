"""Listings: create, read, delete, in bulk."""

from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from api.deps import Cursor, Desk, DeskDep, ListingId, PageSize, encode_cursor, needs
from api.errors import responses
from api.forms import MAX_FILES, MAX_PHOTOS, read_batch, read_form, read_listing
from api.intake import put_batch, put_listing
from api.schemas import (
    BatchRowIn,
    JobOut,
    ListingAccepted,
    ListingIn,
    ListingOut,
    ListingPage,
)
from db.catalogue import listings
from models.domain.types import Scope

router = APIRouter(prefix="/v1", tags=["listings"])
WRITE = [Depends(needs(Scope.WRITE))]
READ = [Depends(needs(Scope.SEARCH))]

_BAD_BODY = responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def _form(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


_PHOTO = {"type": "string", "format": "binary"}
_LISTING_FORM = _form(
    {
        "listing": ListingIn.model_json_schema(),
        "photos": {"type": "array", "items": _PHOTO, "minItems": 1, "maxItems": MAX_PHOTOS},
    }
)
_BATCH_FORM = _form(
    {
        "listings": {
            "type": "string",
            "format": "binary",
            "description": "NDJSON (or `text/csv` with a header, photos separated by spaces), "
            "one listing a line; each line as: " + ", ".join(BatchRowIn.model_fields),
        }
    }
)


@router.post(
    "/listings",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_LISTING_FORM,
    responses=_BAD_BODY,
    dependencies=WRITE,
)
async def create(request: Request, response: Response, desk: DeskDep) -> ListingAccepted:
    """Store a listing with its photos; it can be found once its job has succeeded."""
    return await _put(request, response, desk, uuid4())


@router.put(
    "/listings/{listing_id}",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_LISTING_FORM,
    responses=_BAD_BODY,
    dependencies=WRITE,
)
async def put(
    listing_id: ListingId, request: Request, response: Response, desk: DeskDep
) -> ListingAccepted:
    """Create a listing under the caller's id, or replace it and its photos."""
    return await _put(request, response, desk, listing_id)


@router.post(
    "/listings:batch",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BATCH_FORM,
    responses=_BAD_BODY,
    dependencies=WRITE,
)
async def batch(request: Request, response: Response, desk: DeskDep) -> JobOut:
    """Store many listings at once. Rows with errors are listed in the job; the others go on."""
    async with read_form(request, max_files=MAX_FILES) as form:
        rows, parts, refused = await read_batch(form, desk.max_upload_bytes)
    job = await to_thread.run_sync(put_batch, desk, rows, parts, refused, limiter=desk.decoding)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobOut.of(job)


@router.get("/listings", dependencies=READ)
def page(desk: DeskDep, cursor: Cursor, limit: PageSize = 50) -> ListingPage:
    """Listings, newest first."""
    with desk.database.read() as session:
        views = listings.recent_listings(session, limit, cursor)
    following = None
    if len(views) == limit:
        last = views[-1].listing
        following = encode_cursor((last.created_at, last.id))
    return ListingPage(items=[ListingOut.of(view) for view in views], next_cursor=following)


@router.get("/listings/{listing_id}", responses=responses(HTTPStatus.NOT_FOUND), dependencies=READ)
def read(listing_id: ListingId, desk: DeskDep) -> ListingOut:
    """A listing."""
    with desk.database.read() as session:
        return ListingOut.of(listings.get_listing(session, listing_id))


@router.delete(
    "/listings/{listing_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(HTTPStatus.NOT_FOUND),
    dependencies=WRITE,
)
def delete(listing_id: ListingId, desk: DeskDep) -> None:
    """Remove a listing: the next search will not find it."""
    with desk.database.write() as session:
        listings.delete_listing(session, listing_id, desk.now())


async def _put(
    request: Request, response: Response, desk: Desk, listing_id: UUID
) -> ListingAccepted:
    async with read_form(request, max_files=MAX_PHOTOS + 2) as form:
        stated, photos = await read_listing(form, desk.max_upload_bytes)
    data = stated.to_data(listing_id)
    job = await to_thread.run_sync(put_listing, desk, data, photos, limiter=desk.decoding)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return ListingAccepted(listing_id=listing_id, job=JobOut.of(job))
