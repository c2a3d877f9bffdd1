"""Attributes of listings, as they are stated one by one and in bulk."""

import json
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from tests.support.http import KETTLE, assert_problem, create_listing, listing_form, send_batch
from tests.support.pictures import jpeg

STATED = {"Brand": " Le  Creuset", "colour": ["red", "Red", "cream"], "litres": 1.60, "boxed": True}
STORED = {"boxed": True, "brand": "Le Creuset", "colour": ["red", "cream"], "litres": 1.6}


def attributes_of(client: TestClient, created: Response) -> dict[str, Any]:
    assert created.status_code == 202, created.text
    listing = client.get(f"/v1/listings/{created.json()['listing_id']}").json()
    attributes: dict[str, Any] = listing["attributes"]
    return attributes


def rows(client: TestClient) -> dict[str, dict[str, Any]]:
    items = client.get("/v1/listings").json()["items"]
    return {item["title"]: item["attributes"] for item in items}


def test_attributes_are_stored_and_shown(client: TestClient) -> None:
    shown = attributes_of(client, create_listing(client, attributes=STATED))
    assert shown == STORED
    assert list(shown) == sorted(shown)
    assert shown["boxed"] is True
    assert attributes_of(client, create_listing(client)) == {}
    nothing: dict[str, object] = {"brand": None, "size": " ", "tags": []}
    assert attributes_of(client, create_listing(client, attributes=nothing)) == {}


def test_put_replaces_all_of_them(client: TestClient) -> None:
    place = f"/v1/listings/{uuid4()}"
    form = listing_form({**KETTLE, "attributes": STATED}, jpeg(1))
    assert attributes_of(client, client.put(place, **form)) == STORED
    form = listing_form({**KETTLE, "attributes": {"size": 1}}, jpeg(1))
    assert attributes_of(client, client.put(place, **form)) == {"size": 1}


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"size": {"eu": 42}}, "'size'"),
        ({"size": [1]}, "'size'"),
        ({"size": "x" * 501}, "'size'"),
        ({"Size": 1, " size": 2}, "'size' is stated twice"),
        ({" ": 1}, "needs a name"),
        ({"size": 10**400}, "'size'"),
        ({f"n{number}": 1 for number in range(65)}, "at most 64"),
        ([], "attributes"),
    ],
)
def test_what_is_no_attribute_is_refused_by_name(
    client: TestClient, attributes: object, words: str
) -> None:
    refused = create_listing(client, attributes=attributes)
    assert_problem(refused, 422, "invalid_input")
    assert words in refused.json()["detail"]


def test_controls_and_halves_of_characters_are_left_out(client: TestClient) -> None:
    # PostgreSQL's JSON can't hold them.
    stated = {"br\0and": "a\0b", "x": ["\0", "c\0"]}
    assert attributes_of(client, create_listing(client, attributes=stated)) == {
        "brand": "ab",
        "x": ["c"],
    }


def test_rows_of_json_have_them(client: TestClient) -> None:
    stated = [
        {"title": "Good", "photos": ["a"], "attributes": STATED},
        {"title": "Bad", "photos": ["a"], "attributes": {"size": {}}},
    ]
    text = "\n".join(map(json.dumps, stated))
    job = send_batch(client, text, "application/x-ndjson", a=jpeg(1)).json()
    assert rows(client) == {"Good": STORED}
    (error,) = job["result"]["errors"]
    assert error["row"] == 2
    assert "'size'" in error["detail"]


def test_columns_of_a_table_have_them(client: TestClient) -> None:
    text = (
        "title;photos;Attributes.Brand;attributes.shoe size;attributes.new;attributes\n"
        'One;a;Acme;42;TRUE;"{""colour"": [""red"", ""blue""]}"\n'
        "Two;a;007;1e5;no;\n"
        "Three;a;;;;\n"
        "Four;a;Acme;;;{not json\n"
        "Five;a;Acme;;;[1]\n"
        'Six;a;Acme;;;"{""brand"": ""Other""}"\n'
        f"Seven;a;{'x' * 501};;;\n"
    )
    job = send_batch(client, text, "text/csv", a=jpeg(1)).json()
    assert rows(client) == {
        "One": {"brand": "Acme", "colour": ["red", "blue"], "new": True, "shoe size": 42},
        "Two": {"brand": "007", "new": "no", "shoe size": "1e5"},
        "Three": {},
    }
    errors = {error["row"]: error["detail"] for error in job["result"]["errors"]}
    assert errors.keys() == {4, 5, 6, 7}
    assert "not JSON" in errors[4]
    assert "not an object" in errors[5]
    assert "'brand' is stated twice" in errors[6]
    assert "'brand'" in errors[7]


def test_a_column_of_no_attribute_is_unknown(client: TestClient) -> None:
    refused = send_batch(client, "title,photos,attributes.\nOne,a,x\n", "text/csv", a=jpeg(1))
    assert_problem(refused, 422, "invalid_input")
