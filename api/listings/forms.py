"""Reads listings: one as JSON or as a form with its photos, many as a table, what is to change."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, NamedTuple
from uuid import uuid4

from anyio import to_thread
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError

from api.forms import (
    BodyKind,
    kind_of_body,
    media_type,
    parsed_json,
    read_form,
    read_json,
    read_json_bytes,
    required,
    validation_sentence,
)
from api.listings.merge_patch import JsonObject, read_patch
from api.listings.photo_references import MAX_PHOTOS
from api.listings.schemas import (
    Batch,
    BatchRow,
    BatchRowIn,
    ListingBodyIn,
    ListingIn,
    ListingPartIn,
)
from api.listings.tables import Row, read_rows
from api.multipart import MAX_FIELD_BYTES, Form, photo_in
from api.schemas import LINE
from api.uploads.parts import Part
from api.uploads.spool import Upload
from models.domain.errors import InvalidInput, TooLarge, UnsupportedBody
from models.domain.job_results.embeddings import RowError

MAX_ROWS = 1_000
MAX_LISTINGS_BYTES = 10_000_000
MAX_FILES = 4_000
PATCH_TYPES: Final = ("application/merge-patch+json", "application/json")
LISTING_PART: Final = "listing"
PHOTOS_PART: Final = "photos"
LISTINGS_PART: Final = "listings"
COLUMNS: Final = tuple(BatchRowIn.model_fields)

_PART_NAME: Final = TypeAdapter[str](Annotated[str, LINE])
# How browsers write what would end a name early.
_ESCAPES: Final = {"%22": '"', "%0D": "\r", "%0A": "\n"}


class StatedListing(NamedTuple):
    """A listing, the photos that it names, and those that come with it, which are shown after."""

    listing: ListingIn
    references: Sequence[str]
    photos: Sequence[Upload]


async def read_listing(request: Request, max_photo_bytes: int) -> StatedListing:
    """A listing as JSON that names its photos, or as a form with a part `listing` and `photos`.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    if await kind_of_body(request, [BodyKind.FORM, BodyKind.JSON]) is BodyKind.JSON:
        body = await read_json(request, ListingBodyIn, MAX_FIELD_BYTES)
        return StatedListing(body, body.photos, [])
    return await _listing_with_photos(request, max_photo_bytes)


async def read_listing_patch(request: Request) -> JsonObject:
    """What is to be changed of a listing. Raises UnsupportedBody, MalformedBody, InvalidInput."""
    stated = media_type(request.headers.get("content-type"))
    if stated not in PATCH_TYPES:
        but = f"its Content-Type is {stated}" if stated else "it has no Content-Type"
        raise UnsupportedBody(f"The body of this call is {' or '.join(PATCH_TYPES)}; {but}.")
    return read_patch(await read_json_bytes(request, MAX_FIELD_BYTES))


async def _listing_with_photos(request: Request, max_photo_bytes: int) -> StatedListing:
    form = await read_form(request, max_files=MAX_PHOTOS)
    form.check_names({LISTING_PART, PHOTOS_PART})
    text = form.fields([LISTING_PART], MAX_FIELD_BYTES).get(LISTING_PART)
    if text is None:
        raise InvalidInput("The form needs a part 'listing' with the listing as JSON.")
    listing = await run_in_threadpool(parsed_json, text, ListingPartIn, "The part 'listing'")
    photos = form.photos(PHOTOS_PART, max_photo_bytes, at_most=MAX_PHOTOS)
    if not listing.photos:
        required(photos, PHOTOS_PART)
    if len(listing.photos) + len(photos) > MAX_PHOTOS:
        raise InvalidInput(f"A listing has at most {MAX_PHOTOS} photos.")
    return StatedListing(listing, listing.photos, photos)


async def read_batch(request: Request, max_photo_bytes: int) -> Batch:
    """Rows from the part `listings`, and photos by the names of the other parts.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    form = await read_form(request, max_files=MAX_FILES)
    # In a thread: thousands of rows would block the event loop.
    rows, errors = await to_thread.run_sync(_rows_of, _listings_part(form))
    photos = await to_thread.run_sync(_photos_by_name, form, max_photo_bytes)
    return Batch(rows, photos, errors)


def _listings_part(form: Form) -> Part:
    """The part `listings`."""
    part = form.only(LISTINGS_PART)
    if part is None:
        raise InvalidInput("The form needs a file in its part 'listings', as NDJSON or CSV.")
    if part.size > MAX_LISTINGS_BYTES:
        raise TooLarge(f"The part 'listings' has at most {MAX_LISTINGS_BYTES:,} bytes.")
    return part


def _photos_by_name(form: Form, max_photo_bytes: int) -> dict[str, Upload]:
    """The photos by the names of their parts, as rows name them."""
    photos: dict[str, Upload] = {}
    escaped: dict[str, Upload] = {}
    for part in form.without(LISTINGS_PART):
        name = _part_name(part.name)
        if name in photos:
            raise InvalidInput(
                f"Two parts are named {name!r}: each photo needs a name of its own, for its rows."
            )
        photos[name] = photo_in(part, max_photo_bytes)
        escaped[_part_name(_unescaped(name))] = photos[name]
    return escaped | photos


def _part_name(written: str) -> str:
    try:
        return _PART_NAME.validate_python(written)
    except ValidationError as error:
        raise InvalidInput(f"The name of a part {error.errors()[0]['msg']}.") from error


def _unescaped(name: str) -> str:
    for escape, character in _ESCAPES.items():
        name = name.replace(escape, character)
    return name


def _rows_of(part: Part) -> tuple[list[BatchRow], list[RowError]]:
    return _parse_rows(read_rows(part.read(), part.content_type, COLUMNS))


def _parse_rows(raw: Iterator[Row]) -> tuple[list[BatchRow], list[RowError]]:
    rows: list[BatchRow] = []
    errors: list[RowError] = []
    number = 0
    for number, item in enumerate(raw, start=1):
        if number > MAX_ROWS:
            raise InvalidInput(f"A bulk request has at most {MAX_ROWS:,} rows.")
        try:
            parsed = _parsed_row(item)
        except ValidationError as error:
            detail = validation_sentence(error, BatchRowIn)
            errors.append(RowError(row=number, code=InvalidInput.code, detail=detail))
        except InvalidInput as error:
            errors.append(RowError(row=number, code=error.code, detail=str(error)))
        else:
            listing = parsed.to_data(parsed.id or uuid4())
            rows.append(BatchRow(number, listing, parsed.photos))
    if not number:
        raise InvalidInput("The part 'listings' has no rows.")
    return rows, errors


def _parsed_row(row: Row) -> BatchRowIn:
    if isinstance(row, InvalidInput):
        raise row
    if isinstance(row, str):
        return BatchRowIn.model_validate_json(row)
    return BatchRowIn.model_validate(row)
