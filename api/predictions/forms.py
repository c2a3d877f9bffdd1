"""Reads the body of a prediction's request."""

from fastapi import Request

from api.forms import (
    PHOTO_PART,
    BodyKind,
    form_options,
    kind_of_body,
    one_photo,
    photo_and_options,
    read_form,
    read_json,
)
from api.predictions.schemas import PredictionByPhoto, PredictionIn, PredictionOptions


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
        return PredictionByPhoto(
            *await photo_and_options(request, PredictionOptions, max_photo_bytes)
        )
    form = await read_form(request, max_files=1)
    options = form_options(form, PredictionOptions, {PHOTO_PART})
    return PredictionByPhoto(one_photo(form, max_photo_bytes), options)
