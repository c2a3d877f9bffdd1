"""Reads the body of an embedding's request."""

from fastapi import Request

from api.forms import PHOTO_PART, BodyKind, kind_of_body, one_photo, read_form, read_photo


async def read_photo_to_embed(request: Request, max_photo_bytes: int) -> bytes:
    """The photo, in a form or as the body.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    kind = await kind_of_body(request, [BodyKind.FORM, BodyKind.PHOTO])
    if kind is BodyKind.PHOTO:
        return await read_photo(request, max_photo_bytes)
    async with read_form(request, max_files=1) as form:
        form.check_names({PHOTO_PART})
        return await one_photo(form, max_photo_bytes)
