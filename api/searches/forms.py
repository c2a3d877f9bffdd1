"""Reads the body of a search's request."""

from typing import Final

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from api.forms import PHOTO_PART, is_form, parsed_fields, photo_bytes, read_form, read_json
from api.searches.schemas import MAX_EXAMPLES, SearchByPhotos, SearchForm, SearchIn
from models.domain.errors import InvalidInput

NEGATIVE_PART: Final = "negative"


async def read_search(request: Request, max_photo_bytes: int) -> SearchByPhotos | SearchIn:
    """A search by photos (multipart), by what is stored, or for a next page (JSON)."""
    if not is_form(request):
        return await read_json(request, SearchIn)
    async with read_form(request, max_files=MAX_EXAMPLES) as form:
        options = parsed_fields(_fields(form), SearchForm)
        positive = await photo_bytes(form, PHOTO_PART, max_photo_bytes)
        negative = await photo_bytes(form, NEGATIVE_PART, max_photo_bytes, required=False)
    return SearchByPhotos(positive, negative, options)


def _fields(form: FormData) -> dict[str, str]:
    fields = {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields[name] = value
        elif name not in {PHOTO_PART, NEGATIVE_PART}:
            raise InvalidInput(f"Files are the parts {PHOTO_PART!r} and {NEGATIVE_PART!r}.")
    return fields
