"""How bodies, answers and errors are described in OpenAPI."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel

from api.forms import JSON_BODY, MULTIPART, PHOTO_PART
from api.problems import responses
from api.schemas import Problem
from models.domain.types import JobStatus, JobType

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
}
"""A listing that was found."""


PHOTO: Final = {"type": "string", "format": "binary"}
ONE_PHOTO: Final = {PHOTO_PART: PHOTO}
BY_LISTING: Final = {"a listing": {"listing_id": MATCH_EXAMPLE["listing_id"]}}


def described_body(
    options: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    *,
    photos: Mapping[str, Any] = ONE_PHOTO,
    examples: Mapping[str, Any] = BY_LISTING,
) -> dict[str, Any]:
    """A form with `photos` and `options`, or JSON `body`, of which `examples` are given."""
    properties = {**photos, **(inlined(options)["properties"] if options else {})}
    described = described_form(properties, required=[PHOTO_PART])
    if body:
        described["requestBody"]["content"][JSON_BODY] = {
            "schema": inlined(body),
            "examples": {name: {"value": value} for name, value in examples.items()},
        }
    return described


def described_form(
    properties: Mapping[str, Any], required: Sequence[str] | None = None
) -> dict[str, Any]:
    """A multipart form with these parts; all are required unless `required` names fewer."""
    schema = {
        "type": "object",
        "required": list(properties if required is None else required),
        "properties": dict(properties),
    }
    content = {MULTIPART: {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema with its definitions where they are used: it stands in any document."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            part = definitions[part["$ref"].rpartition("/")[2]] | part
        return {name: resolved(value) for name, value in part.items() if name != "$ref"}

    described: dict[str, Any] = resolved(schema)
    return described


def described_answer(
    model: type[BaseModel], job_type: JobType, result: dict[str, Any]
) -> dict[int | str, dict[str, Any]]:
    """A job that may have succeeded, with such a result then."""
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
    """Put the problem document into OpenAPI once, where every error response refers to it."""
    describe = app.openapi
    (invalid,) = responses(HTTPStatus.UNPROCESSABLE_ENTITY).values()

    def described() -> dict[str, object]:
        schema = describe()
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        # FastAPI's own description of a failed validation, which `handle_errors` answers here.
        if schemas.pop("HTTPValidationError", None):
            del schemas["ValidationError"]
            for call in (call for path in schema["paths"].values() for call in path.values()):
                if "422" in call["responses"]:
                    call["responses"]["422"] = invalid
        return schema

    app.openapi = described  # type: ignore[method-assign] # FastAPI's documented way to extend it
