"""Reads the body of a search's request."""

from typing import Final, NamedTuple, TypeVar

from fastapi import Request
from pydantic import BaseModel

from api.forms import (
    PHOTO_PART,
    BodyKind,
    form_options,
    kind_of_body,
    photo_and_options,
    read_form,
    read_json,
    required,
)
from api.multipart import Form
from api.searches.schemas import MAX_EXAMPLES, SearchByPhotos, UserSearchForm, UserSearchIn
from api.uploads.spool import Upload
from models.domain.errors import InvalidInput

NEGATIVE_PART: Final = "negative"

Stored = TypeVar("Stored", bound=BaseModel)
Options = TypeVar("Options", bound=BaseModel)


class Examples(NamedTuple):
    """The photos of a request."""

    positive: list[Upload]
    negative: list[Upload]


async def read_search(request: Request, max_photo_bytes: int) -> SearchByPhotos | UserSearchIn:
    """A search by photos (multipart, or one as the body), by what is stored, or for a next page.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    stated = await read_stated(request, UserSearchIn, UserSearchForm, max_photo_bytes)
    if isinstance(stated, UserSearchIn):
        return stated
    examples, options = stated
    return SearchByPhotos(*examples, options, options.user)


async def read_stated(
    request: Request, stored: type[Stored], options: type[Options], max_photo_bytes: int
) -> Stored | tuple[Examples, Options]:
    """What is searched for: by JSON, by a form with photos, or by a photo as the body.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    kind = await kind_of_body(request, list(BodyKind))
    if kind is BodyKind.JSON:
        return await read_json(request, stored)
    if kind is BodyKind.PHOTO:
        photo, asked = await photo_and_options(request, options, max_photo_bytes)
        return Examples([photo], []), asked
    # As many as both parts may have: how many they are together is said below.
    form = await read_form(request, max_files=2 * MAX_EXAMPLES)
    asked = form_options(form, options, {PHOTO_PART, NEGATIVE_PART})
    return _read_examples(form, max_photo_bytes), asked


def _read_examples(form: Form, max_photo_bytes: int) -> Examples:
    positive = form.photos(PHOTO_PART, max_photo_bytes, at_most=MAX_EXAMPLES)
    negative = form.photos(NEGATIVE_PART, max_photo_bytes, at_most=MAX_EXAMPLES)
    if len(positive) + len(negative) > MAX_EXAMPLES:
        raise InvalidInput(f"At most {MAX_EXAMPLES} photos make one search.")
    return Examples(required(positive, PHOTO_PART), negative)
