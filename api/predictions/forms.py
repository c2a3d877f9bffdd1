"""Reads the body of a prediction's request."""

from fastapi import Request

from api.forms import PHOTO_PART, is_form, parsed_fields, photo_bytes, read_form, read_json
from api.predictions.schemas import PredictionByPhoto, PredictionIn, PredictionOptions


async def read_prediction(
    request: Request, max_photo_bytes: int
) -> PredictionByPhoto | PredictionIn:
    """A prediction for a photo (multipart) or for a listing (JSON)."""
    if not is_form(request):
        return await read_json(request, PredictionIn)
    async with read_form(request, max_files=1) as form:
        photo = (await photo_bytes(form, PHOTO_PART, max_photo_bytes))[0]
        return PredictionByPhoto(photo, parsed_fields(form, PredictionOptions))
