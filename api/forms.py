"""Reads bodies that FastAPI can't declare: multipart forms, or JSON or a photo instead of them."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError

from api.multipart import Form, parsed_form
from api.naming import unknown_name
from api.uploads.body import body_of
from api.uploads.spool import Upload
from models.domain.errors import InvalidInput, MalformedBody, UnsupportedBody

MULTIPART: Final = "multipart/form-data"
JSON_BODY: Final = "application/json"
PHOTO_BODY: Final = "image/*"
PHOTO_PART: Final = "photo"
MAX_JSON_BYTES: Final = 1 << 16
"""Of a body as JSON, but for a listing and for events."""
MAX_BYTES_IN_LOOP: Final = 1 << 13
"""More is parsed in a thread: the event loop goes on."""

_BEGINNING: Final = 1_024
"""By so many bytes JSON is recognised."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

Model = TypeVar("Model", bound=BaseModel)


class BodyKind(StrEnum):
    """What a body may be; the values are for people."""

    FORM = "multipart/form-data (as from curl -F)"
    JSON = "application/json"
    PHOTO = "a photo's bytes as image/jpeg"


def media_type(stated: str | None) -> str:
    """A media type without its parameters, in lower case; empty if there is none."""
    return (stated or "").partition(";")[0].strip().lower()


async def kind_of_body(request: Request, taken: Collection[BodyKind]) -> BodyKind:
    """Which of the kinds that a call takes the body is. Raises UnsupportedBody.

    A body of no stated type is JSON if it looks like it.
    """
    stated = media_type(request.headers.get("content-type"))
    kind = kind_of_type(stated)
    if not stated and BodyKind.JSON in taken:
        beginning = (await body_of(request).whole(request)).read(_BEGINNING)
        kind = BodyKind.JSON if beginning.lstrip()[:1] == b"{" else kind
    if kind is None or kind not in taken:
        kinds = " or ".join(taken)
        but = f"its Content-Type is {stated}" if stated else "it has no Content-Type"
        raise UnsupportedBody(f"The body of this call is {kinds}; {but}.")
    return kind


def kind_of_type(content_type: str | None) -> BodyKind | None:
    """Which kind of body a media type says it is, if one of those that are taken."""
    stated = media_type(content_type)
    if stated == MULTIPART:
        return BodyKind.FORM
    if stated.endswith(("/json", "+json")):
        return BodyKind.JSON
    if stated.startswith("image/") or stated == "application/octet-stream":
        return BodyKind.PHOTO
    return None


async def read_form(request: Request, *, max_files: int) -> Form:
    """The multipart form, which can be read until the request ends.

    Raises UnsupportedBody and MalformedBody.
    """
    await kind_of_body(request, [BodyKind.FORM])
    return await parsed_form(request, max_files=max_files)


async def read_json(request: Request, model: type[Model], max_bytes: int = MAX_JSON_BYTES) -> Model:
    """The JSON body. Raises MalformedBody, InvalidInput or TooLarge."""
    body = await read_json_bytes(request, max_bytes)
    if len(body) > MAX_BYTES_IN_LOOP:
        return await run_in_threadpool(parsed_json, body, model, "The body")
    return parsed_json(body, model, "The body")


async def read_json_bytes(request: Request, max_bytes: int = MAX_JSON_BYTES) -> bytes:
    """The bytes of the JSON body. Raises TooLarge."""
    message = f"The body of this call has at most {max_bytes:,} bytes as JSON."
    upload = await body_of(request).whole(request, max_bytes, message)
    return upload.read().removeprefix(_BYTE_ORDER_MARK)


def parsed_json(text: str | bytes, model: type[Model], what: str) -> Model:
    """A model from JSON; `what` begins the sentence of an error.

    Raises MalformedBody if it is not JSON, and InvalidInput.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise MalformedBody(f"{what} is not JSON: {first['ctx']['error']}.") from error
        raise InvalidInput(validation_sentence(error, model)) from error


def parsed_fields(fields: Mapping[str, object], model: type[Model]) -> Model:
    """A model from the fields of a form. Raises InvalidInput."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise InvalidInput(validation_sentence(error, model)) from error


def form_options(form: Form, model: type[Model], photo_parts: Collection[str]) -> Model:
    """The form's fields as a model; its other parts are photos. Raises InvalidInput."""
    form.check_names({*photo_parts, *model.model_fields})
    return parsed_fields(form.fields(model.model_fields), model)


async def photo_and_options(
    request: Request, model: type[Model], max_bytes: int
) -> tuple[Upload, Model]:
    """The photo that is the body, and the query's fields as a model.

    Raises InvalidInput and TooLarge.
    """
    options = parsed_fields(_query_fields(request), model)
    return await read_photo(request, max_bytes), options


def _query_fields(request: Request) -> dict[str, str]:
    """The fields of the query, without those that are blank."""
    return {name: value for name, value in request.query_params.items() if value.strip()}


def one_photo(form: Form, max_bytes: int) -> Upload:
    """The photo in the form's part `photo`. Raises InvalidInput and TooLarge."""
    return required(form.photos(PHOTO_PART, max_bytes, at_most=1), PHOTO_PART)[0]


def required(photos: list[Upload], name: str) -> list[Upload]:
    """These photos. Raises InvalidInput if there is none."""
    if not photos:
        raise InvalidInput(f"The form needs a file in its part {name!r}.")
    return photos


async def read_photo(request: Request, max_bytes: int) -> Upload:
    """The photo that is the body. Raises TooLarge."""
    message = f"A photo has at most {max_bytes:,} bytes."
    return await body_of(request).whole(request, max_bytes, message)


def validation_sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error, as a sentence that names the field."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        return f"The field {unknown_name(str(first['loc'][0]), model.model_fields)}"
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"]
    return f"{field}: {message}" if field else message
