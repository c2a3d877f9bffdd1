"""Reads multipart listings: one as JSON with its photos, or many as NDJSON or CSV."""

import csv
import io
from collections.abc import Iterator, Mapping
from uuid import uuid4

from anyio import to_thread
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from api.forms import parsed_json, photo_bytes, read_form, read_photo_part, validation_sentence
from api.listings.schemas import Batch, BatchRow, BatchRowIn, ListingIn
from models.domain.errors import InvalidInput, TooLarge
from models.domain.job_results import RowError

MAX_PHOTOS = 12
MAX_ROWS = 1_000
MAX_LISTINGS_BYTES = 10_000_000
MAX_FILES = 4_000
# The fields of a bulk row that are one CSV cell each; photos are split by spaces.
LISTING_COLUMNS = tuple(name for name in BatchRowIn.model_fields if name != "photos")


async def read_listing(request: Request, max_photo_bytes: int) -> tuple[ListingIn, list[bytes]]:
    """A listing from its JSON part `listing` and its photos from the parts `photos`."""
    async with read_form(request, max_files=MAX_PHOTOS + 2) as form:
        text = form.get("listing")
        if isinstance(text, UploadFile):
            text = (await text.read()).decode("utf-8", "replace")
        if text is None:
            raise InvalidInput("The form needs a part 'listing' with the listing as JSON.")
        photos = await photo_bytes(form, "photos", max_photo_bytes)
    if len(photos) > MAX_PHOTOS:
        raise InvalidInput(f"A listing has at most {MAX_PHOTOS} photos.")
    return parsed_json(text, ListingIn), photos


async def read_batch(request: Request, max_photo_bytes: int) -> Batch:
    """Rows from the part `listings` (NDJSON, or CSV with a header), and photos by part name."""
    async with read_form(request, max_files=MAX_FILES) as form:
        data, is_csv = await _listings_part(form)
        # Parsed in a thread: thousands of rows would block the event loop.
        rows, errors = await to_thread.run_sync(_rows_of, data, is_csv)
        photos = {
            name: await read_photo_part(item, max_photo_bytes)
            for name, item in form.multi_items()
            if isinstance(item, UploadFile) and name != "listings"
        }
    return Batch(rows, photos, errors)


async def _listings_part(form: FormData) -> tuple[bytes, bool]:
    """The bytes of the part `listings`, and whether they are CSV."""
    part = form.get("listings")
    if not isinstance(part, UploadFile):
        raise InvalidInput("The form needs a file in its part 'listings', as NDJSON or CSV.")
    data = await part.read(MAX_LISTINGS_BYTES + 1)
    if len(data) > MAX_LISTINGS_BYTES:
        raise TooLarge(f"The part 'listings' has at most {MAX_LISTINGS_BYTES:,} bytes.")
    return data, (part.content_type or "").startswith("text/csv")


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


def _csv_rows(text: str) -> Iterator[Mapping[str, object]]:
    for row in csv.DictReader(io.StringIO(text, newline="")):
        listing = {name: row[name] for name in LISTING_COLUMNS if row.get(name)}
        yield {**listing, "photos": (row.get("photos") or "").split()}


def _parse_rows(raw: Iterator[str | Mapping[str, object]]) -> tuple[list[BatchRow], list[RowError]]:
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
            errors.append(
                RowError(row=number, code=InvalidInput.code, detail=validation_sentence(error))
            )
        else:
            listing = parsed.to_data(parsed.id or uuid4())
            rows.append(BatchRow(number, listing, parsed.photos))
    if not number:
        raise InvalidInput("The part 'listings' has no rows.")
    return rows, errors
