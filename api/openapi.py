"""How questions about a photo and their answers are described in OpenAPI."""

from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from api.errors import responses
from api.schemas import ByListing, JobOut
from api.submission import PHOTO_PART
from models.domain import JobStatus, JobType

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


def described_body(
    options: type[BaseModel] | None = None, by_listing: type[ByListing] | None = None
) -> dict[str, Any]:
    """A body: a photo with `options`, or JSON `by_listing`."""
    properties = {PHOTO_PART: {"type": "string", "format": "binary"}}
    if options:
        properties |= options.model_json_schema()["properties"]
    form = {"type": "object", "required": [PHOTO_PART], "properties": properties}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if by_listing:
        content["application/json"] = {
            "schema": by_listing.model_json_schema(),
            "example": {"listing_id": MATCH_EXAMPLE["listing_id"]},
        }
    return {"requestBody": {"required": True, "content": content}}


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
