"""Reads the body of a search's request."""

from typing import Final

from fastapi import Request

from api.forms import (
    PHOTO_PART,
    BodyKind,
    kind_of_body,
    parsed_fields,
    query_fields,
    read_form,
    read_json,
    read_photo,
    required,
)
from api.multipart import Form
from api.searches.schemas import MAX_EXAMPLES, SearchByPhotos, SearchForm, SearchIn
from models.domain.errors import InvalidInput

NEGATIVE_PART: Final = "negative"
_PARTS: Final = {PHOTO_PART, NEGATIVE_PART, *SearchForm.model_fields}


async def read_search(request: Request, max_photo_bytes: int) -> SearchByPhotos | SearchIn:
    """A search by photos (multipart, or one as the body), by what is stored, or for a next page.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    kind = await kind_of_body(request, list(BodyKind))
    if kind is BodyKind.JSON:
        return await read_json(request, SearchIn)
    if kind is BodyKind.PHOTO:
        options = parsed_fields(query_fields(request), SearchForm)
        return SearchByPhotos([await read_photo(request, max_photo_bytes)], [], options)
    # As many as both parts may have: how many they are together is said below.
    async with read_form(request, max_files=2 * MAX_EXAMPLES) as form:
        form.check_names(_PARTS)
        options = parsed_fields(await form.fields(SearchForm.model_fields), SearchForm)
        positive, negative = await read_examples(form, max_photo_bytes)
    return SearchByPhotos(required(positive, PHOTO_PART), negative, options)


async def read_examples(form: Form, max_photo_bytes: int) -> tuple[list[bytes], list[bytes]]:
    """The positive and the negative photos of a form. Raises InvalidInput and TooLarge."""
    positive = await form.photos(PHOTO_PART, max_photo_bytes, at_most=MAX_EXAMPLES)
    negative = await form.photos(NEGATIVE_PART, max_photo_bytes, at_most=MAX_EXAMPLES)
    if len(positive) + len(negative) > MAX_EXAMPLES:
        raise InvalidInput(f"At most {MAX_EXAMPLES} photos make one search.")
    return positive, negative
