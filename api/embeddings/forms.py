"""Reads the body of an embedding's request."""

from fastapi import Request

from api.forms import PHOTO_PART, BodyKind, kind_of_body, one_photo, read_form, read_photo
from api.uploads.spool import Upload


async def read_photo_to_embed(request: Request, max_photo_bytes: int) -> Upload:
    """The photo, in a form or as the body.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    kind = await kind_of_body(request, [BodyKind.FORM, BodyKind.PHOTO])
    if kind is BodyKind.PHOTO:
        return await read_photo(request, max_photo_bytes)
    form = await read_form(request, max_files=1)
    form.check_names({PHOTO_PART})
    return one_photo(form, max_photo_bytes)
