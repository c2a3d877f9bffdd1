"""Reads bodies that FastAPI can't declare: multipart forms, or JSON instead of them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from models.domain.errors import InvalidInput, MalformedBody, TooLarge, UnsupportedBody

MULTIPART: Final = "multipart/form-data"
JSON_BODY: Final = "application/json"
PHOTO_PART: Final = "photo"
MAX_FIELDS = 20

Model = TypeVar("Model", bound=BaseModel)


def media_type(request: Request) -> str:
    """The body's media type, without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_form(request: Request) -> bool:
    """Whether the body is a multipart form rather than JSON. Raises UnsupportedBody."""
    stated = media_type(request)
    if stated not in {MULTIPART, JSON_BODY}:
        raise UnsupportedBody(f"This call takes {MULTIPART} or {JSON_BODY}.")
    return stated == MULTIPART


@asynccontextmanager
async def read_form(request: Request, *, max_files: int) -> AsyncIterator[FormData]:
    """The multipart form; its files are closed at the end. Raises UnsupportedBody."""
    if media_type(request) != MULTIPART:
        raise UnsupportedBody(f"This call takes {MULTIPART}.")
    async with request.form(max_files=max_files, max_fields=MAX_FIELDS) as form:
        yield form


async def read_json(request: Request, model: type[Model]) -> Model:
    """The JSON body. Raises MalformedBody or InvalidInput."""
    return parsed_json(await request.body(), model)


def parsed_json(text: str | bytes, model: type[Model]) -> Model:
    """A model from JSON. Raises MalformedBody if it is not JSON, and InvalidInput."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            raise MalformedBody("The body is not JSON.") from error
        raise InvalidInput(validation_sentence(error)) from error


def parsed_fields(fields: Mapping[str, object], model: type[Model]) -> Model:
    """A model from the fields of a form. Raises InvalidInput."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise InvalidInput(validation_sentence(error)) from error


async def photo_bytes(
    form: FormData, name: str, max_bytes: int, *, required: bool = True
) -> list[bytes]:
    """The photos in all parts of this name. Raises InvalidInput if `required` and there is none."""
    parts = [part for part in form.getlist(name) if isinstance(part, UploadFile)]
    if required and not parts:
        raise InvalidInput(f"The form needs a file in its part {name!r}.")
    return [await read_photo_part(part, max_bytes) for part in parts]


async def read_photo_part(part: UploadFile, max_bytes: int) -> bytes:
    """The bytes of an uploaded photo. Raises TooLarge."""
    data = await part.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLarge(f"A photo has at most {max_bytes:,} bytes.")
    return data


def validation_sentence(error: ValidationError) -> str:
    """The first error, as a sentence that names the field."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"]
    return f"{field}: {message}" if field else message
