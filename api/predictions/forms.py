"""Reads the body of a prediction's request."""

from typing import Final

from fastapi import Request

from api.forms import (
    PHOTO_PART,
    BodyKind,
    kind_of_body,
    one_photo,
    parsed_fields,
    query_fields,
    read_form,
    read_json,
    read_photo,
)
from api.predictions.schemas import PredictionByPhoto, PredictionIn, PredictionOptions

_PARTS: Final = {PHOTO_PART, *PredictionOptions.model_fields}


async def read_prediction(
    request: Request, max_photo_bytes: int
) -> PredictionByPhoto | PredictionIn:
    """A prediction for a photo (multipart, or as the body) or for a listing (JSON).

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    kind = await kind_of_body(request, list(BodyKind))
    if kind is BodyKind.JSON:
        return await read_json(request, PredictionIn)
    if kind is BodyKind.PHOTO:
        options = parsed_fields(query_fields(request), PredictionOptions)
        return PredictionByPhoto(await read_photo(request, max_photo_bytes), options)
    async with read_form(request, max_files=1) as form:
        form.check_names(_PARTS)
        options = parsed_fields(
            await form.fields(PredictionOptions.model_fields), PredictionOptions
        )
        return PredictionByPhoto(await one_photo(form, max_photo_bytes), options)
