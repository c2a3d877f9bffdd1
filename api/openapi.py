"""OpenAPI descriptions of bodies, responses and errors."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NotRequired, TypedDict

from fastapi import FastAPI
from pydantic import BaseModel, JsonValue

from api.forms import JSON_BODY, MULTIPART, PHOTO_BODY, PHOTO_PART
from api.idempotency.keys import HEADER, REPLAYED
from api.problems import Responses, responses
from api.schemas import Problem
from models.domain.types import JobStatus, JobType
from models.photo_decoding import ACCEPTED_FORMATS

JsonObject = dict[str, JsonValue]

TOO_MANY: Final = responses(HTTPStatus.TOO_MANY_REQUESTS)
KEY_REFUSED: Final = responses(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS
)
NO_SUCH: Final = responses(HTTPStatus.NOT_FOUND)
BODY_REFUSED: Final = responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

_KEY_MISUSED: Final = responses(
    HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY
)
"""An `Idempotency-Key` that is none, whose first request is in flight, or is another request's."""
_REPLAYED: Final = {
    REPLAYED: {
        "description": "`true` where a request with this `Idempotency-Key` was answered before.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}

MATCH_EXAMPLE: Final = {
    "listing_id": "96dee810-9ea2-488d-8d87-dc35290d44c4",
    "title": "Red enamel kettle",
    "price": "12.50",
    "currency": "GBP",
    "category": "Appliances / Kettles",
    "location": "Leeds, West Yorkshire",
    "attributes": {"brand": "Le Creuset", "litres": 1.6},
    "photo": {"id": f"{7:064x}", "url": f"/v1/photos/{7:064x}"},
    "similarity": 0.981204,
}
"""An example of a listing that was found."""


PHOTO: Final = {
    "type": "string",
    "format": "binary",
    "minLength": 1,
    "description": f"A {ACCEPTED_FORMATS} photo, told by its content.",
}
PATCH_EXAMPLE: Final[JsonObject] = {
    "price": "9.50",
    "status": "reserved",
    "attributes": {"colour": ["red"], "boxed": None},
}
ETAG: Final = {"ETag": {"schema": {"type": "string"}, "description": "For `If-Match` of a change."}}
ONE_PHOTO: Final = {PHOTO_PART: PHOTO}
_AS_BODY: Final = "One photo as it is; options, where there are any, are then in the query."
BY_LISTING: Final = {"a listing": {"listing_id": MATCH_EXAMPLE["listing_id"]}}


def described_body(
    options: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    *,
    photos: Mapping[str, object] = ONE_PHOTO,
    required: Sequence[str] = (),
    examples: Mapping[str, object] = BY_LISTING,
) -> dict[str, object]:
    """A request body: a form with `photos` and `options`, a photo, or JSON `body`.

    `required` are those of the options that a form must have.
    """
    fields = _properties(inlined(options)) if options else {}
    properties = {**photos, **{name: _in_form(field) for name, field in fields.items()}}
    content: dict[str, object] = {
        MULTIPART: _form_schema(properties, [PHOTO_PART, *required]),
        PHOTO_BODY: {"schema": {**PHOTO, "description": _AS_BODY}},
    }
    if body:
        content[JSON_BODY] = {
            "schema": inlined(body),
            "examples": {name: {"value": value} for name, value in examples.items()},
        }
    return _request_body(content)


def described_form(
    properties: Mapping[str, object], required: Sequence[str], body: type[BaseModel]
) -> dict[str, object]:
    """A multipart form with these parts and no others, or JSON `body` instead of it."""
    return _request_body(
        {
            MULTIPART: _form_schema(properties, required),
            JSON_BODY: {"schema": inlined(body)},
        }
    )


def described_json(body: type[BaseModel], examples: Mapping[str, object]) -> dict[str, object]:
    """A JSON body, and nothing else."""
    described = {
        "schema": inlined(body),
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return _request_body({JSON_BODY: described})


def described_patch(media_types: Sequence[str], *models: type[BaseModel]) -> dict[str, object]:
    """A JSON Merge Patch (RFC 7396) of what has the fields of these models.

    Of each, null removes what is stated; what has no default can't be removed.
    """
    properties = {
        name: _removable(field) if name not in _required(schema) else field
        for schema in map(inlined, models)
        for name, field in _properties(schema).items()
    }
    schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "example": PATCH_EXAMPLE,
    }
    return _request_body({media_type: {"schema": schema} for media_type in media_types})


def _required(schema: JsonObject) -> list[JsonValue]:
    required = schema.get("required")
    return required if isinstance(required, list) else []


def _properties(schema: JsonObject) -> JsonObject:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _removable(field: JsonValue) -> JsonValue:
    """A field's schema that also takes null, and has no default: what is not stated stays."""
    if not isinstance(field, dict):
        return field
    stated = {name: value for name, value in field.items() if name != "default"}
    branches = stated.get("anyOf")
    takes_null = isinstance(branches, list) and {"type": "null"} in branches
    return stated if takes_null else {"anyOf": [stated, {"type": "null"}]}


def _in_form(field: JsonValue) -> JsonValue:
    """A field's schema as a part of a form has it: it may be left out, but a text is not null."""
    branches = field.get("anyOf") if isinstance(field, dict) else None
    if not isinstance(field, dict) or not isinstance(branches, list):
        return field
    stated = {name: value for name, value in field.items() if (name, value) != ("default", None)}
    return {**stated, "anyOf": [branch for branch in branches if branch != {"type": "null"}]}


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
        "request_id": "5f2b7d3a9c1e4b6f8a0d2c4e6f8a0b1c",
        "error": None,
        "result": result,
    }
    described = {
        "model": model,
        "description": "The job, with its result if it has succeeded.",
        "content": {"application/json": {"example": example}},
    }
    return {HTTPStatus.OK.value: described}


class _Call(TypedDict):
    """What is read here of an operation."""

    parameters: NotRequired[list[dict[str, object]]]
    responses: dict[str, dict[str, object]]


def _describe_idempotency(call: _Call) -> None:
    """Add what a call that takes an `Idempotency-Key` also answers."""
    if not any(parameter["name"] == HEADER for parameter in call.get("parameters", [])):
        return
    for status, response in call["responses"].items():
        if status.startswith("2"):
            headers = response.get("headers")
            response["headers"] = {**(headers if isinstance(headers, dict) else {}), **_REPLAYED}
    for refused, description in _KEY_MISUSED.items():
        call["responses"].setdefault(str(refused), description)


def describe_problems(app: FastAPI) -> None:
    """Add the schema of problem documents, to which every error response refers."""
    describe = app.openapi
    (invalid,) = responses(HTTPStatus.UNPROCESSABLE_ENTITY).values()

    def described() -> dict[str, object]:
        schema = describe()
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        # FastAPI's own description of a failed validation: `handle_errors` answers it differently.
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        for call in (call for path in schema["paths"].values() for call in path.values()):
            if "422" in call["responses"]:
                call["responses"]["422"] = invalid
            _describe_idempotency(call)
        return schema

    app.openapi = described  # type: ignore[method-assign] # FastAPI's documented way to extend it
