"""Predictions of photos and of listings. What they share with embeddings is tested there."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from api.openapi import MATCH_EXAMPLE
from db.session import Database
from db.store.photo_store import PhotoStore
from tests.support.answering import Answerer
from tests.support.http import KETTLE, UNKNOWN_ID, assert_problem, listing_form, shape, submit_photo
from tests.support.pictures import jpeg


@pytest.fixture
def answerer(database: Database, store: PhotoStore, tmp_path: Path) -> Answerer:
    """A worker on the application's own database and store."""
    return Answerer(database, store, tmp_path / "generations")


def offer(client: TestClient, seed: int, **changes: Any) -> str:
    """Create a listing with a drawn picture; gives its id."""
    response = client.post("/v1/listings", **listing_form({**KETTLE, **changes}, jpeg(seed)))
    return str(response.json()["listing_id"])


def test_of_a_photo(client: TestClient, answerer: Answerer) -> None:
    kettles = [offer(client, seed, price=str(10 + seed)) for seed in range(4)]
    offer(client, 4, category="Toys / Bears", price="3")
    answerer.embed_listings()
    with answerer.at_work():
        response = submit_photo(client, "prediction", jpeg(1), headers={"Prefer": "wait=30"})
    assert response.status_code == 200
    result = response.json()["result"]
    assert result["categories"][0]["category"] == "Appliances / Kettles"
    assert (result["method"], result["calibrated"]) == ("neighbours", False)
    assert result["price_band"]["listings"] == 5
    assert [item["listing_id"] for item in result["duplicates"]] == [kettles[1]]
    assert result["duplicates"][0]["relation"] == "same_photo"
    assert result["duplicates"][0]["photo"]["url"].startswith("/v1/photos/")
    assert client.get(result["duplicates"][0]["photo"]["url"]).status_code == 200


def test_of_a_listing(client: TestClient, answerer: Answerer) -> None:
    asked, twin = offer(client, 1), offer(client, 1, category="Toys / Bears")
    answerer.embed_listings()
    place = client.post("/v1/predictions", json={"listing_id": asked}).headers["location"]
    answerer.answer()
    result = client.get(place).json()["result"]
    assert [item["category"] for item in result["categories"]] == ["Toys / Bears"]
    assert [item["listing_id"] for item in result["duplicates"]] == [twin]


def test_how_many_categories_are_told_is_asked_for(client: TestClient, answerer: Answerer) -> None:
    listings = [offer(client, seed, category=f"Root {seed} / Leaf") for seed in range(7)]
    answerer.embed_listings()
    places = [
        submit_photo(client, "prediction").headers["location"],
        submit_photo(client, "prediction", data={"top": "2"}).headers["location"],
        client.post("/v1/predictions", json={"listing_id": listings[0], "top": 3}).headers[
            "location"
        ],
    ]
    answerer.answer()
    told = [len(client.get(place).json()["result"]["categories"]) for place in places]
    assert told == [5, 2, 3]


@pytest.mark.parametrize("top", ["0", "101", "1e9", "-1", "NaN", "ten", "9" * 5_000])
def test_bad_tops(client: TestClient, top: str) -> None:
    assert_problem(submit_photo(client, "prediction", data={"top": top}), 422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"listing_id": "no"}',
        f'{{"listing_id": "{UNKNOWN_ID}", "top": 0}}',
        f'{{"listing_id": "{UNKNOWN_ID}", "limit": 5}}',
    ],
)
def test_bad_json(client: TestClient, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/predictions", content=body, headers=headers)
    assert_problem(response, 422, "invalid_input")
    malformed = client.post("/v1/predictions", content="{", headers=headers)
    assert_problem(malformed, 400, "malformed_body")


def test_unknown_listing(client: TestClient) -> None:
    response = client.post("/v1/predictions", json={"listing_id": str(uuid4())})
    assert_problem(response, 404, "not_found")


def test_the_reference_shows_a_true_example(client: TestClient, answerer: Answerer) -> None:
    for seed in range(4):
        offer(client, seed, attributes=MATCH_EXAMPLE["attributes"])
    answerer.embed_listings()
    place = submit_photo(client, "prediction").headers["location"]
    answerer.answer()
    real = client.get(place).json()
    assert real["result"]["generation"] is None  # none has been built
    real["result"]["generation"] = 1
    # The listings have no attributes, and the photo no flaw.
    real["result"]["attributes"] = [
        {"name": "colour", "value": "red", "share": 0.7, "listings": 3, "of": 4}
    ]
    real["result"]["photos"][0]["flaws"] = ["blurred"]
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/predictions"]["post"]["requestBody"]["content"]) == {
        "multipart/form-data",
        "application/json",
        "image/*",
    }
    for call in (paths["/v1/predictions"]["post"], paths["/v1/predictions/{job_id}"]["get"]):
        example = call["responses"]["200"]["content"]["application/json"]["example"]
        assert shape({**example, "error": None, "expected_wait_s": None}) == shape(
            real
        )  # OpenAPI leaves nulls out
