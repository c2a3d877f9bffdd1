"""Reads what a search asks for, and accepts it."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from anyio import to_thread
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile

from api.deps import Desk
from api.forms import invalid_body, media_type, photo_bytes, read_form, validation_sentence
from api.intake import accept_and_publish, store_photo
from api.search_schemas import (
    DEFAULT_LIMIT,
    MAX_EXAMPLES,
    FilterIn,
    RegionIn,
    SearchForm,
    SearchIn,
)
from api.submission import PHOTO_PART, find_job
from db.catalogue.listing_photos import is_public, stored_photos
from db.catalogue.listings import get_listing
from db.tables import Job
from db.vectors.encoders import active_encoder
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, InvalidInput, NotFound, UnsupportedBody
from models.domain.types import JobType
from workers.queue.messages import is_photo

NEGATIVE_PART: Final = "negative"

Payload = dict[str, Any]


async def accept_search(request: Request, desk: Desk) -> Job:
    """Accept a search by photos (multipart), by what is stored, or for a next page (JSON)."""
    match media_type(request):
        case "multipart/form-data":
            async with read_form(request, max_files=MAX_EXAMPLES) as form:
                stated = _read_fields(form)
                limit = desk.max_upload_bytes
                positive = await photo_bytes(form, PHOTO_PART, limit)
                negative = await photo_bytes(form, NEGATIVE_PART, limit, required=False)
            return await to_thread.run_sync(
                _by_photos, desk, positive, negative, stated, limiter=desk.decoding
            )
        case "application/json":
            try:
                asked = SearchIn.model_validate_json(await request.body())
            except ValidationError as error:
                raise invalid_body(error) from error
            accept = _next_page if asked.cursor is not None else _by_names
            return await run_in_threadpool(accept, desk, asked)
        case _:
            raise UnsupportedBody("This call takes multipart/form-data or application/json.")


def _read_fields(form: FormData) -> SearchForm:
    fields = {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields[name] = value
        elif name not in {PHOTO_PART, NEGATIVE_PART}:
            raise InvalidInput(f"Files are the parts {PHOTO_PART!r} and {NEGATIVE_PART!r}.")
    try:
        return SearchForm.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(validation_sentence(error)) from error


def _by_photos(
    desk: Desk, positive: Sequence[bytes], negative: Sequence[bytes], stated: SearchForm
) -> Job:
    if stated.region and len(positive) > 1:
        raise InvalidInput("A region needs exactly one photo.")
    wanted = [store_photo(desk, data) for data in positive]
    if stated.region:
        stated.region.to_region().box(wanted[0].width, wanted[0].height)
    unwanted = [store_photo(desk, data).sha256 for data in negative]
    names = [photo.sha256 for photo in wanted]
    if set(names) & set(unwanted):
        raise InvalidInput("What is positive can't be negative too.")
    payload = _payload(names, unwanted, stated.region, stated.filter, stated.limit)
    return accept_and_publish(desk, JobType.SEARCH, payload, total=1)


def _by_names(desk: Desk, asked: SearchIn) -> Job:
    positive = asked.positive or [str(asked.listing_id)]
    with desk.database.read() as session:
        for name in [*positive, *asked.negative]:
            _require(session, name)
        if asked.region:
            photo = stored_photos(session, positive)[positive[0]]
            asked.region.to_region().box(photo.width, photo.height)
    limit = asked.limit or DEFAULT_LIMIT
    payload = _payload(positive, asked.negative, asked.region, asked.filter, limit)
    return accept_and_publish(desk, JobType.SEARCH, payload, total=1)


def _require(session: Session, name: str) -> None:
    """Raise NotFound unless there is such a listing, or a listing that shows such a photo."""
    if not is_photo(name):
        get_listing(session, UUID(name))
    elif not is_public(session, name):
        raise NotFound("There is no such photo.")


def _next_page(desk: Desk, asked: SearchIn) -> Job:
    cursor = Cursor.decode(asked.cursor or "")
    before = find_job(desk, cursor.search_id, JobType.SEARCH)
    with desk.database.read() as session:
        active = active_encoder(session)
    if active is not None and active.fingerprint != cursor.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    payload = {**before.payload, "cursor": asked.cursor}
    if asked.limit:
        payload["limit"] = asked.limit
    return accept_and_publish(desk, JobType.SEARCH, payload, total=1)


def _payload(
    positive: Sequence[str],
    negative: Sequence[str],
    region: RegionIn | None,
    wanted: FilterIn | None,
    limit: int,
) -> Payload:
    """What the worker is told, each example once."""
    payload: Payload = {"positive": list(dict.fromkeys(positive)), "limit": limit}
    if negative:
        payload["negative"] = list(dict.fromkeys(negative))
    if region:
        payload["region"] = region.to_region().to_payload()
    if wanted:
        payload["filter"] = wanted.to_filter().to_payload()
    return payload
