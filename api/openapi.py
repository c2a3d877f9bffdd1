"""OpenAPI descriptions of bodies, responses and errors."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI
from pydantic import BaseModel, JsonValue

from api.forms import JSON_BODY, MULTIPART, PHOTO_BODY, PHOTO_PART
from api.problems import Responses, responses
from api.schemas import Problem
from models.domain.types import JobStatus, JobType
from models.photo_decoding import ACCEPTED_FORMATS

JsonObject = dict[str, JsonValue]

TOO_MANY: Final = responses(HTTPStatus.TOO_MANY_REQUESTS)
KEY_REFUSED: Final = responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
NO_SUCH: Final = responses(HTTPStatus.NOT_FOUND)
BODY_REFUSED: Final = responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

MATCH_EXAMPLE: Final = {
    "listing_id": "96dee810-9ea2-488d-8d87-dc35290d44c4",
    "title": "Red enamel kettle",
    "price": "12.50",
    "currency": "GBP",
    "category": "Appliances / Kettles",
    "location": "Leeds, West Yorkshire",
    "photo": {"id": f"{7:064x}", "url": f"/v1/photos/{7:064x}"},
    "similarity": 0.981204,
    "match": "same item",
}
"""An example of a listing that was found."""


PHOTO: Final = {
    "type": "string",
    "format": "binary",
    "description": f"A {ACCEPTED_FORMATS} photo, told by its content.",
}
ONE_PHOTO: Final = {PHOTO_PART: PHOTO}
_AS_BODY: Final = "One photo as it is; options, where there are any, are then in the query."
BY_LISTING: Final = {"a listing": {"listing_id": MATCH_EXAMPLE["listing_id"]}}


def described_body(
    options: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    *,
    photos: Mapping[str, object] = ONE_PHOTO,
    examples: Mapping[str, object] = BY_LISTING,
) -> dict[str, object]:
    """A request body: a form with `photos` and `options`, a photo, or JSON `body`."""
    form = inlined(options) if options else {}
    fields = form.get("properties")
    properties = {**photos, **(fields if isinstance(fields, dict) else {})}
    content = {
        MULTIPART: _form_schema(properties, [PHOTO_PART]),
        PHOTO_BODY: {"schema": {**PHOTO, "description": _AS_BODY}},
    }
    if body:
        content[JSON_BODY] = {
            "schema": inlined(body),
            "examples": {name: {"value": value} for name, value in examples.items()},
        }
    return _request_body(content)


def described_form(properties: Mapping[str, object]) -> dict[str, object]:
    """A multipart form with these parts and no others, all of them required."""
    return _request_body({MULTIPART: _form_schema(properties, list(properties))})


def described_bulk(name: str, table: Mapping[str, object]) -> dict[str, object]:
    """A multipart form with a table in its part `name`, and photos in parts of any other name."""
    schema = _form_schema({name: table}, [name])
    schema["schema"]["additionalProperties"] = PHOTO
    return _request_body({MULTIPART: schema})


def _form_schema(
    properties: Mapping[str, object], required: Sequence[str]
) -> dict[str, dict[str, object]]:
    """The media type of a form, which refuses parts with other names."""
    schema = {"type": "object", "required": required, "properties": properties}
    return {"schema": {**schema, "additionalProperties": False}}


def _request_body(content: Mapping[str, object]) -> dict[str, object]:
    return {"requestBody": {"required": True, "content": content}}


def inlined(model: type[BaseModel]) -> JsonObject:
    """A model's JSON schema without references: definitions are inserted where they are used."""
    schema = model.model_json_schema()
    definitions: dict[str, JsonObject] = schema.pop("$defs", {})

    def resolved(part: JsonValue) -> JsonValue:
        if isinstance(part, list):
            return [resolved(item) for item in part]
        return resolved_object(part) if isinstance(part, dict) else part

    def resolved_object(part: JsonObject) -> JsonObject:
        reference = part.get("$ref")
        if isinstance(reference, str):
            part = definitions[reference.rpartition("/")[2]] | part
        return {name: resolved(value) for name, value in part.items() if name != "$ref"}

    return resolved_object(schema)


def described_job(
    model: type[BaseModel], job_type: JobType, result: Mapping[str, object]
) -> Responses:
    """The response 200 of a job, with an example that has succeeded with this result."""
    example = {
        "id": "0b7e7a5c-7d0f-4c8b-9a55-0f4f6f3c2c11",
        "type": job_type,
        "status": JobStatus.SUCCEEDED,
        "progress": {"total": 1, "done": 1, "failed": 0},
        "attempt": 1,
        "created_at": "2030-01-02T03:04:05Z",
        "started_at": "2030-01-02T03:04:05.010Z",
        "finished_at": "2030-01-02T03:04:05.090Z",
        "error": None,
        "result": result,
    }
    described = {
        "model": model,
        "description": "The job, with its result if it has succeeded.",
        "content": {"application/json": {"example": example}},
    }
    return {HTTPStatus.OK.value: described}


def describe_problems(app: FastAPI) -> None:
    """Add the schema of problem documents, to which every error response refers."""
    describe = app.openapi
    (invalid,) = responses(HTTPStatus.UNPROCESSABLE_ENTITY).values()

    def described() -> dict[str, object]:
        schema = describe()
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        # FastAPI's own description of a failed validation: `handle_errors` answers it differently.
        if schemas.pop("HTTPValidationError", None):
            del schemas["ValidationError"]
            for call in (call for path in schema["paths"].values() for call in path.values()):
                if "422" in call["responses"]:
                    call["responses"]["422"] = invalid
        return schema

    app.openapi = described  # type: ignore[method-assign] # FastAPI's documented way to extend it
