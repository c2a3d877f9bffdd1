"""Requests to the API in tests, and what their answers must look like."""

import json
from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

from tests.support.pictures import jpeg

MakeClient = Callable[..., TestClient]

# Fixed: workers that run tests in parallel must agree on the parameters of tests.
UNKNOWN_ID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"

KETTLE = {
    "title": "  Red kettle ☕ ",
    "description": "Boils.",
    "category": "Appliances>Kettles",
    "price": "12.50",
    "currency": "GBP",
    "location": "Leeds, West Yorkshire",
    "latitude": 53.8,
    "longitude": -1.55,
    "seller": " sam ",
}


def listing_form(listing: dict[str, Any], *photos: bytes) -> dict[str, Any]:
    """The multipart body of a listing, as keyword arguments of a request."""
    files = [("photos", (f"{number}.jpg", data)) for number, data in enumerate(photos)]
    return {"data": {"listing": json.dumps(listing)}, "files": files}


def create_listing(client: TestClient, **changes: Any) -> Response:
    """Create a listing of a kettle with two photos, and with these changes."""
    return client.post("/v1/listings", **listing_form({**KETTLE, **changes}, jpeg(1), jpeg(2)))


def send_batch(client: TestClient, text: str, kind: str, **photos: bytes) -> Response:
    """Create listings from the rows of a file of this media type."""
    files = {"listings": ("rows", text.encode(), kind)}
    files |= {name: (name, data, "image/jpeg") for name, data in photos.items()}
    return client.post("/v1/listings:batch", files=files)


def submit_photo(client: TestClient, kind: str, photo: bytes = b"", **given: Any) -> Response:
    """Ask for a search, an embedding or a prediction of a photo."""
    place = {"search": "searches", "embedding": "embeddings", "prediction": "predictions"}[kind]
    files = {"photo": ("photo.jpg", photo or jpeg(1), "image/jpeg")}
    return client.post(f"/v1/{place}", files=files, **given)


def assert_problem(response: Response, status: int, code: str) -> None:
    """The answer is a problem document (RFC 9457) with this status and code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    assert "Traceback" not in response.text


def shape(value: Any) -> Any:
    """What an example and the real thing must have in common: names, and kinds of values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)
