"""Creating, reading, deleting listings, one by one and in bulk."""

import io
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import func, select

from db.access.tables import AuditEntry
from db.catalogue.listings import ListingData, upsert_listings
from db.retention.tables import Erasure
from db.session import Database
from db.tables import Listing, Photo
from models.domain.clock import utc_now
from models.photo_decoding import standardise
from tests.support.http import KETTLE, assert_problem, create_listing, listing_form, send_batch
from tests.support.photo_files import encoded
from tests.support.pictures import cut_jpeg, jpeg, picture


def test_created_listing_is_there_with_its_job(client: TestClient) -> None:
    response = create_listing(client)
    assert response.status_code == 202
    accepted = response.json()
    assert response.headers["location"] == f"/v1/jobs/{accepted['job']['id']}"
    assert accepted["job"]["progress"] == {"total": 2, "done": 0, "failed": 0}
    listing = client.get(f"/v1/listings/{accepted['listing_id']}").json()
    assert listing["title"] == "Red kettle ☕"
    assert (listing["price"], listing["currency"]) == ("12.50", "GBP")
    assert listing["category"] == "Appliances / Kettles"
    assert (listing["latitude"], listing["longitude"]) == (53.8, -1.55)
    assert (listing["seller"], listing["status"]) == ("sam", "active")
    assert len(listing["photos"]) == 2


def test_photos_are_served_clean_and_only_while_listed(client: TestClient) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "SECRETMAKER"
    Image.new("RGB", (60, 40), "red").save(file, "JPEG", exif=exif)
    dirty = file.getvalue() + b"<script>alert(1)</script>"
    response = client.post("/v1/listings", **listing_form(KETTLE, dirty))
    place = f"/v1/listings/{response.json()['listing_id']}"
    url = client.get(place).json()["photos"][0]["url"]
    photo = client.get(url)
    assert photo.headers["content-type"] == "image/jpeg"
    assert photo.headers["x-content-type-options"] == "nosniff"
    assert b"SECRETMAKER" not in photo.content
    assert b"script" not in photo.content
    assert client.delete(place).status_code == 204
    assert_problem(client.get(url), 404, "not_found")


def test_a_search_photo_is_nobody_elses(client: TestClient) -> None:
    client.post("/v1/searches", files={"photo": ("a.jpg", jpeg(9))})
    assert_problem(client.get(f"/v1/photos/{standardise(jpeg(9)).sha256}"), 404, "not_found")


def test_a_photo_that_lacks_some_pixels_is_taken_and_says_so(client: TestClient) -> None:
    response = client.post("/v1/listings", **listing_form(KETTLE, jpeg(1), cut_jpeg(2)))
    listing = client.get(f"/v1/listings/{response.json()['listing_id']}").json()
    assert [photo["incomplete"] for photo in listing["photos"]] == [False, True]


@pytest.mark.parametrize("kind", ["HEIC", "AVIF", "GIF", "BMP"])
def test_what_phones_write_is_taken_whatever_it_is_called(client: TestClient, kind: str) -> None:
    response = client.post("/v1/listings", **listing_form(KETTLE, encoded(picture(1), kind)))
    assert response.status_code == 202
    listing = client.get(f"/v1/listings/{response.json()['listing_id']}").json()
    assert client.get(listing["photos"][0]["url"]).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("status", ["reserved", "sold"])
def test_what_is_not_for_sale_is_still_shown(client: TestClient, status: str) -> None:
    place = f"/v1/listings/{create_listing(client, status=status).json()['listing_id']}"
    listing = client.get(place).json()
    assert listing["status"] == status
    assert client.get("/v1/listings").json()["items"] == [listing]
    assert client.get(listing["photos"][0]["url"]).status_code == 200
    assert client.delete(place).status_code == 204
    assert_problem(client.get(place), 404, "not_found")


def test_the_id_that_a_feed_has_is_shown_and_searched_for(client: TestClient) -> None:
    with client.app.state.resources.database.write() as session:  # type: ignore[attr-defined] # Starlette
        for number, feed in enumerate(("here", "there", "there")):
            listing = ListingData(
                id=UUID(int=number), title=f"L{number}", external_id="SKU 1" if number < 2 else "2"
            )
            upsert_listings(session, [listing], utc_now(), feed=feed)

    def found(**asked: str) -> list[tuple[str, str, str]]:
        items = client.get("/v1/listings", params=asked).json()["items"]
        return sorted((item["title"], item["external_id"], item["feed"]) for item in items)

    both = [("L0", "SKU 1", "here"), ("L1", "SKU 1", "there")]
    assert found(external_id="SKU 1") == both
    assert found(external_id=" SKU\t1 ", feed="there") == both[1:]
    assert found(external_id="SKU") == []
    assert len(found(feed="there")) == 2
    assert_problem(client.get("/v1/listings?external_id=" + "x" * 201), 422, "invalid_input")

    # Who changes a listing by its id leaves to it what its feed calls it.
    form = listing_form({"title": "Changed"}, jpeg(1))
    assert client.put(f"/v1/listings/{UUID(int=0)}", **form).status_code == 202
    assert found(external_id="SKU 1") == [("Changed", "SKU 1", "here"), both[1]]


def test_put_replaces(client: TestClient) -> None:
    place = f"/v1/listings/{uuid4()}"
    assert client.put(place, **listing_form(KETTLE, jpeg(1))).status_code == 202
    assert client.put(place, **listing_form({"title": "Blue"}, jpeg(2))).status_code == 202
    listing = client.get(place).json()
    assert (listing["title"], listing["price"], listing["category"]) == ("Blue", None, None)
    assert len(listing["photos"]) == 1
    assert len(client.get("/v1/listings").json()["items"]) == 1


def test_delete(client: TestClient) -> None:
    place = f"/v1/listings/{create_listing(client).json()['listing_id']}"
    assert client.delete(place).status_code == 204
    assert_problem(client.get(place), 404, "not_found")
    assert_problem(client.delete(place), 404, "not_found")


def test_erase(client: TestClient, database: Database) -> None:
    places = [f"/v1/listings/{create_listing(client).json()['listing_id']}" for _ in range(2)]
    # Also one that was deleted before.
    assert client.delete(places[1]).status_code == 204
    for place in places:
        assert client.delete(place, params={"erase": "true"}).status_code == 204
        assert_problem(client.get(place), 404, "not_found")
        assert_problem(client.delete(place, params={"erase": "true"}), 404, "not_found")
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Listing)) == 0
        assert session.scalar(select(func.count()).select_from(Photo)) == 0
        assert [row.kind for row in session.scalars(select(Erasure))] == ["listing"] * 2
        entries = session.scalars(select(AuditEntry)).all()
    assert [(one.action, one.details, one.result) for one in entries] == [
        ("DELETE /v1/listings/{listing_id}?erase=true", {}, "done")
    ] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"title": " "},
        {"price": "-1"},
        {"price": "NaN"},
        {"price": "Infinity"},
        {"price": "1.005"},
        {"currency": None},
        {"currency": "pounds"},
        {"colour": "red"},
        {"title": "x" * 501},
        {"title": "a\0b"},
        {"latitude": None},
        {"longitude": None},
        {"latitude": 90.1},
        {"longitude": -180.1},
        {"latitude": "NaN"},
        {"longitude": "Infinity"},
        {"seller": "x" * 201},
        {"seller": "a\0b"},
        {"status": "deleted"},
        {"status": "gone"},
        {"description": "\0"},
        {"category": "x" * 201},
        {"category": " / ".join("x" * 11)},
        {"category": " / ".join(["x" * 190] * 6)},
        {"category": ">".join("x" * 11)},
        {"category": "/".join("x" * 101)},
    ],
)
def test_bad_listings(client: TestClient, change: dict[str, Any]) -> None:
    assert_problem(create_listing(client, **change), 422, "invalid_input")
    assert client.get("/v1/listings").json()["items"] == []


def test_bad_photo_stores_nothing(client: TestClient) -> None:
    response = client.post("/v1/listings", **listing_form(KETTLE, jpeg(1), b"text"))
    assert_problem(response, 415, "unsupported_photo")
    assert client.get("/v1/listings").json()["items"] == []


def test_listing_without_photo_or_part(client: TestClient) -> None:
    assert_problem(client.post("/v1/listings", json=KETTLE), 422, "invalid_input")
    assert_problem(client.post("/v1/listings", content=jpeg(1)), 415, "unsupported_body")
    response = client.post("/v1/listings", files={"photos": ("a.jpg", jpeg(1))})
    assert_problem(response, 422, "invalid_input")


def test_bad_rows_are_reported_and_fail_no_other(client: TestClient) -> None:
    row_id = str(uuid4())
    rows = [
        {"title": "Good", "photos": ["front", "back"], "id": row_id},
        {"title": "No such photo", "photos": ["side"]},
        {"title": "Broken photo", "photos": ["broken"]},
        {"title": "", "photos": ["front"]},
        {"title": "Same id", "photos": ["front"], "id": row_id},
        {"title": "Also good", "photos": ["front"]},
        {"title": "a\0b", "photos": ["front"]},
    ]
    text = "\n".join(json.dumps(row) for row in rows) + "\nnot json\n"
    response = send_batch(
        client, text, "application/x-ndjson", front=jpeg(1), back=jpeg(2), broken=b"text"
    )
    assert response.status_code == 202
    job = client.get(response.headers["location"]).json()
    assert job["type"] == "batch"
    assert job["progress"]["total"] == 2
    assert (job["result"]["rows"], job["result"]["accepted"]) == (8, 2)
    errors = {error["row"]: error["code"] for error in job["result"]["errors"]}
    assert errors == {
        2: "unknown_photo",
        3: "unsupported_photo",
        4: "invalid_input",
        5: "duplicate_id",
        7: "invalid_input",
        8: "invalid_input",
    }
    titles = {item["title"] for item in client.get("/v1/listings").json()["items"]}
    assert titles == {"Good", "Also good"}
    assert client.get(f"/v1/listings/{row_id}").json()["title"] == "Good"


def test_batch_as_csv_with_a_stored_photo(client: TestClient) -> None:
    first = create_listing(client).json()["listing_id"]
    stored = client.get(f"/v1/listings/{first}").json()["photos"][0]["id"]
    text = (
        "title,price,currency,latitude,longitude,seller,status,photos\n"
        f"One,5,GBP,-33.9,151.2,sam,sold,a {stored}\n"
        f"Two,,,,,,,{stored}\n"
    )
    response = send_batch(client, text, "text/csv", a=jpeg(7))
    assert response.json()["result"]["accepted"] == 2, response.text
    items = {item["title"]: item for item in client.get("/v1/listings").json()["items"]}
    one, two = items["One"], items["Two"]
    names = ("price", "latitude", "longitude", "seller", "status")
    assert [one[name] for name in names] == ["5.00", -33.9, 151.2, "sam", "sold"]
    assert [two[name] for name in names] == [None, None, None, None, "active"]
    assert [photo["id"] for photo in one["photos"]][1] == stored


def test_batch_of_nothing_good_has_failed(client: TestClient) -> None:
    job = send_batch(client, '{"title": "x", "photos": ["a"]}', "application/x-ndjson").json()
    assert (job["status"], job["error"]["code"]) == ("failed", "no_rows")


def test_batch_with_an_endless_field(client: TestClient) -> None:
    text = "title,photos\n" + "x" * 200_000 + ",a\n"
    assert_problem(send_batch(client, text, "text/csv"), 422, "invalid_input")


def test_batch_with_too_much_text_or_too_many_rows(client: TestClient) -> None:
    text = "\n" * 10_000_001
    assert_problem(send_batch(client, text, "application/x-ndjson"), 413, "too_large")
    assert_problem(send_batch(client, "{}\n" * 1_001, "application/x-ndjson"), 422, "invalid_input")


@pytest.mark.parametrize("name", ["%00", "x", "A" * 64, "..%2f..%2fx"])
def test_photos_that_can_not_be(client: TestClient, name: str) -> None:
    assert_problem(client.get(f"/v1/photos/{name}"), 404, "not_found")


def test_empty_batch(client: TestClient) -> None:
    assert_problem(send_batch(client, "\n", "application/x-ndjson"), 422, "invalid_input")


def test_pages(client: TestClient) -> None:
    made = {create_listing(client).json()["listing_id"] for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = client.get("/v1/listings", params=params).json()
        seen += [item["id"] for item in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == 5
    assert set(seen) == made


@pytest.mark.parametrize("cursor", ["x", "AAAA", "bm93fG5v", "MjAzMC0wMS0wMXx4"])
def test_malformed_cursor(client: TestClient, cursor: str) -> None:
    response = client.get("/v1/listings", params={"cursor": cursor})
    assert_problem(response, 422, "invalid_input")


def test_file_names_are_ignored(client: TestClient) -> None:
    files = [("photos", (name, jpeg(1))) for name in ("../../x", "a" * 1_000)]
    response = client.post("/v1/listings", data={"listing": json.dumps(KETTLE)}, files=files)
    assert response.status_code == 202
