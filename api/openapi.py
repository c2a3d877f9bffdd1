"""How questions about a photo and their answers are described in OpenAPI."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from api.errors import responses
from api.schemas import JobOut
from api.submission import PHOTO_PART
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
    form = {"type": "object", "required": [PHOTO_PART], "properties": properties}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if body:
        content["application/json"] = {
            "schema": inlined(body),
            "examples": {name: {"value": value} for name, value in examples.items()},
        }
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


def described_answer(question: JobType, result: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """A job that may have succeeded, with such a result then."""
    example = {
        "id": "0b7e7a5c-7d0f-4c8b-9a55-0f4f6f3c2c11",
        "type": question,
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
        "model": JobOut,
        "description": "The job, with its result if it has succeeded.",
        "content": {"application/json": {"example": example}},
    }
    return {HTTPStatus.OK.value: described}
