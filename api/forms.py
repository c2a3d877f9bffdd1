"""Reads the bodies that a framework can't describe: multipart with parts named by rows."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from anyio import to_thread
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from api.intake import BatchRow, RowError
from api.schemas import BatchRowIn, ListingIn
from models.domain.errors import InvalidInput, MalformedBody, TooLarge, UnsupportedBody

MAX_PHOTOS = 12
MAX_ROWS = 1_000
MAX_LISTINGS_BYTES = 10_000_000
MAX_FILES = 4_000
MAX_FIELDS = 20
# Those of a bulk row that a cell of CSV can hold as it is: all but its photos.
LISTING_COLUMNS = tuple(name for name in BatchRowIn.model_fields if name != "photos")


def media_type(request: Request) -> str:
    """The body's media type, without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def read_form(request: Request, *, max_files: int) -> AsyncIterator[FormData]:
    """The multipart form; its files are closed at the end. Raises UnsupportedBody."""
    if media_type(request) != "multipart/form-data":
        raise UnsupportedBody("This call takes multipart/form-data.")
    async with request.form(max_files=max_files, max_fields=MAX_FIELDS) as form:
        yield form


async def photo_bytes(
    form: FormData, name: str, max_bytes: int, *, required: bool = True
) -> list[bytes]:
    """The photos in all parts of this name. Raises InvalidInput when there has to be one."""
    parts = [part for part in form.getlist(name) if isinstance(part, UploadFile)]
    if required and not parts:
        raise InvalidInput(f"The form needs a file in its part {name!r}.")
    return [await _read(part, max_bytes) for part in parts]


async def read_listing(form: FormData, max_photo_bytes: int) -> tuple[ListingIn, list[bytes]]:
    """A listing from its JSON part `listing` and its photos from the parts `photos`."""
    text = form.get("listing")
    if isinstance(text, UploadFile):
        text = (await text.read()).decode("utf-8", "replace")
    if text is None:
        raise InvalidInput("The form needs a part 'listing' with the listing as JSON.")
    photos = await photo_bytes(form, "photos", max_photo_bytes)
    if len(photos) > MAX_PHOTOS:
        raise InvalidInput(f"A listing has at most {MAX_PHOTOS} photos.")
    try:
        return ListingIn.model_validate_json(text), photos
    except ValidationError as error:
        raise invalid_body(error) from error


async def read_batch(
    form: FormData, max_photo_bytes: int
) -> tuple[list[BatchRow], dict[str, bytes], list[RowError]]:
    """Rows from the part `listings` (NDJSON, or CSV with a header), and photos by part name."""
    part = form.get("listings")
    if not isinstance(part, UploadFile):
        raise InvalidInput("The form needs a file in its part 'listings', as NDJSON or CSV.")
    data = await part.read(MAX_LISTINGS_BYTES + 1)
    if len(data) > MAX_LISTINGS_BYTES:
        raise TooLarge(f"The part 'listings' has at most {MAX_LISTINGS_BYTES:,} bytes.")
    is_csv = (part.content_type or "").startswith("text/csv")
    # Thousands of rows take long enough to parse that nobody else should wait for it.
    rows, errors = await to_thread.run_sync(_rows_of, data, is_csv)
    photos = {
        name: await _read(item, max_photo_bytes)
        for name, item in form.multi_items()
        if isinstance(item, UploadFile) and name != "listings"
    }
    return rows, photos, errors


async def _read(part: UploadFile, max_bytes: int) -> bytes:
    data = await part.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLarge(f"A photo has at most {max_bytes:,} bytes.")
    return data


def _rows_of(data: bytes, is_csv: bool) -> tuple[list[BatchRow], list[RowError]]:
    try:
        text = data.decode("utf-8-sig")
        return _parse_rows(_csv_rows(text) if is_csv else _ndjson_rows(text))
    except UnicodeDecodeError:
        raise InvalidInput("The part 'listings' is not UTF-8.") from None
    except csv.Error as error:
        raise InvalidInput(f"The part 'listings' is not CSV: {error}.") from error


def _ndjson_rows(text: str) -> Iterator[str]:
    return (line for line in io.StringIO(text, newline="\n") if line.strip())


def _csv_rows(text: str) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(io.StringIO(text, newline="")):
        listing: dict[str, Any] = {name: row[name] for name in LISTING_COLUMNS if row.get(name)}
        yield {**listing, "photos": (row.get("photos") or "").split()}


def _parse_rows(raw: Iterator[Any]) -> tuple[list[BatchRow], list[RowError]]:
    rows: list[BatchRow] = []
    errors: list[RowError] = []
    number = 0
    for number, item in enumerate(raw, start=1):
        if number > MAX_ROWS:
            raise InvalidInput(f"A bulk request has at most {MAX_ROWS:,} rows.")
        try:
            parsed = (
                BatchRowIn.model_validate_json(item)
                if isinstance(item, str)
                else BatchRowIn.model_validate(item)
            )
        except ValidationError as error:
            errors.append(RowError(number, InvalidInput.code, validation_sentence(error)))
        else:
            listing = parsed.to_data(parsed.id or uuid4())
            rows.append(BatchRow(number, listing, parsed.photos))
    if not number:
        raise InvalidInput("The part 'listings' has no rows.")
    return rows, errors


def invalid_body(error: ValidationError) -> InvalidInput:
    """What is wrong with a JSON body: that it is none, or which field."""
    if error.errors(include_url=False)[0]["type"] == "json_invalid":
        return MalformedBody("The body is not JSON.")
    return InvalidInput(validation_sentence(error))


def validation_sentence(error: ValidationError) -> str:
    """The first complaint, as a sentence that names the field."""
    first = json.loads(error.json(include_url=False, include_input=False))[0]
    field = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"])
    return f"{field}: {message}" if field else message
