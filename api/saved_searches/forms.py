"""Reads the body of a search that is to be saved."""

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
from api.saved_searches.schemas import SavedByPhotos, SavedSearchForm, SavedSearchIn
from api.searches.forms import NEGATIVE_PART, read_examples
from api.searches.schemas import MAX_EXAMPLES

_PARTS: Final = {PHOTO_PART, NEGATIVE_PART, *SavedSearchForm.model_fields}


async def read_saved_search(
    request: Request, max_photo_bytes: int
) -> SavedByPhotos | SavedSearchIn:
    """A search by photos (multipart, or one as the body), or by what is stored.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    kind = await kind_of_body(request, list(BodyKind))
    if kind is BodyKind.JSON:
        return await read_json(request, SavedSearchIn)
    if kind is BodyKind.PHOTO:
        options = parsed_fields(query_fields(request), SavedSearchForm)
        return SavedByPhotos([await read_photo(request, max_photo_bytes)], [], options)
    # As many as both parts may have: how many they are together is said below.
    async with read_form(request, max_files=2 * MAX_EXAMPLES) as form:
        form.check_names(_PARTS)
        options = parsed_fields(await form.fields(SavedSearchForm.model_fields), SavedSearchForm)
        positive, negative = await read_examples(form, max_photo_bytes)
    return SavedByPhotos(required(positive, PHOTO_PART), negative, options)
