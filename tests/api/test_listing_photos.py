"""Photos that callers name instead of sending them: stored ones, and such at URLs."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from db.session import Database
from db.tables import Job, Listing
from models.domain.job_payloads import EmbedPayload
from models.photo_decoding import standardise
from tests.support.http import (
    KETTLE,
    MakeClient,
    assert_problem,
    create_listing,
    listing_form,
    send_batch,
)
from tests.support.payloads import payload_as
from tests.support.pictures import jpeg

URL = "https://photos.example/a.jpg?size=1"
OTHER = "HTTP://photos.example/b.jpg"


def sha(seed: int) -> str:
    return standardise(jpeg(seed)).sha256


@pytest.fixture
def fetching(make_client: MakeClient) -> TestClient:
    """A client of an application that lets photos be named by URL."""
    return make_client(photo_urls="all")


def photos_of(client: TestClient, listing_id: object) -> list[str]:
    return [photo["id"] for photo in client.get(f"/v1/listings/{listing_id}").json()["photos"]]


def job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return session.scalars(select(Job).where(Job.id == UUID(job_id))).one()


def test_stored_photos_are_named_in_json(client: TestClient) -> None:
    create_listing(client)
    stated = {**KETTLE, "photos": [sha(2), sha(1), sha(2)]}
    created = client.post("/v1/listings", json=stated)
    assert created.status_code == 202, created.text
    assert photos_of(client, created.json()["listing_id"]) == [sha(2), sha(1)]
    place = f"/v1/listings/{uuid4()}"
    assert client.put(place, json={**stated, "photos": [sha(1)]}).status_code == 202
    assert client.get(place).json()["title"] == "Red kettle ☕"
    assert photos_of(client, place.rpartition("/")[2]) == [sha(1)]


def test_named_photos_come_before_those_that_are_sent(client: TestClient) -> None:
    create_listing(client)
    form = listing_form({**KETTLE, "photos": [sha(2)]}, jpeg(3), jpeg(1))
    created = client.post("/v1/listings", **form).json()
    assert photos_of(client, created["listing_id"]) == [sha(2), sha(3), sha(1)]
    only_named = {"listing": (None, json.dumps({**KETTLE, "photos": [sha(2)]}))}
    created = client.post("/v1/listings", files=only_named).json()
    assert photos_of(client, created["listing_id"]) == [sha(2)]


@pytest.mark.parametrize(
    ("photos", "words"),
    [
        ([], "photos"),
        ([sha(8)], "is no stored photo"),
        ([sha(1).upper()], "neither the SHA-256"),
        (["a.jpg"], "neither the SHA-256"),
        ([sha(1)] * 13, "12"),
        (sha(1), "photos"),
        ([URL], "MARKETLENS_PHOTO_URLS"),
        (["ftp://photos.example/a.jpg"], "no http or https URL"),
        (["file:///etc/passwd"], "no http or https URL"),
        (["https://sam:secret@photos.example/a.jpg"], "a user or a password"),
        (["https://"], "URL"),
        (["https://photos.example/" + "a" * 2_048], "2,048"),
    ],
)
def test_what_is_no_photo_is_refused_and_nothing_stored(
    client: TestClient, photos: object, words: str
) -> None:
    create_listing(client)
    refused = client.post("/v1/listings", json={**KETTLE, "photos": photos})
    assert_problem(refused, 422, "invalid_input")
    assert words in refused.json()["detail"]
    assert "secret" not in refused.text
    assert len(client.get("/v1/listings").json()["items"]) == 1


def test_a_search_photo_can_not_be_shown_by_its_hash(client: TestClient) -> None:
    client.post("/v1/searches", files={"photo": ("a.jpg", jpeg(9))})
    refused = client.post("/v1/listings", json={**KETTLE, "photos": [sha(9)]})
    assert_problem(refused, 422, "invalid_input")


def test_named_and_sent_photos_count_together(client: TestClient) -> None:
    create_listing(client)
    form = listing_form({**KETTLE, "photos": [sha(1)] * 11}, jpeg(3), jpeg(4))
    assert_problem(client.post("/v1/listings", **form), 422, "invalid_input")


def test_a_body_that_is_too_long_is_refused(client: TestClient) -> None:
    long = {**KETTLE, "photos": [sha(1)], "description": "x" * 2_000_000}
    assert_problem(client.post("/v1/listings", json=long), 413, "too_large")


def test_a_listing_is_stored_at_once_and_its_job_has_the_urls(
    fetching: TestClient, database: Database
) -> None:
    form = listing_form({**KETTLE, "photos": [URL, OTHER, URL]}, jpeg(1))
    created = fetching.post("/v1/listings", **form)
    assert created.status_code == 202, created.text
    accepted = created.json()
    assert photos_of(fetching, accepted["listing_id"]) == [sha(1)]
    assert accepted["job"]["progress"]["total"] == 3
    asked = payload_as(job(database, accepted["job"]["id"]), EmbedPayload)
    assert asked.fetch
    assert asked.fetch.photos == (URL, OTHER, sha(1))
    # What is there is embedded by a job of its own, which need not wait for the others.
    with database.read() as session:
        at_once, last = session.scalars(select(Job).order_by(Job.total)).all()
        awaited = session.scalars(select(Listing.awaited_job)).one()
    assert payload_as(at_once, EmbedPayload) == EmbedPayload(photo_ids=asked.photo_ids)
    assert str(last.id) == accepted["job"]["id"] == str(awaited)


def test_photos_stated_later_replace_what_is_being_fetched(
    fetching: TestClient, database: Database
) -> None:
    place = f"/v1/listings/{uuid4()}"
    assert fetching.put(place, json={**KETTLE, "photos": [URL]}).status_code == 202
    assert fetching.get(place).json()["photos"] == []
    assert fetching.put(place, **listing_form(KETTLE, jpeg(1))).status_code == 202
    with database.read() as session:
        assert session.scalars(select(Listing.awaited_job)).one() is None


def test_a_patch_names_photos_at_urls(fetching: TestClient, database: Database) -> None:
    listing_id = create_listing(fetching).json()["listing_id"]
    changed = fetching.patch(f"/v1/listings/{listing_id}", json={"photos": [URL, sha(2)]})
    assert changed.status_code == 202, changed.text
    asked = payload_as(job(database, changed.json()["job"]["id"]), EmbedPayload)
    assert asked.fetch
    assert asked.fetch.photos == (URL, sha(2))
    assert photos_of(fetching, listing_id) == [sha(2)]


ROWS: list[dict[str, Any]] = [
    {"title": "Stored", "photos": ["front"]},
    {"title": "Both", "photos": [URL, "front", OTHER]},
    {"title": "None", "photos": ["https://sam:secret@photos.example/"]},
]


def test_rows_name_photos_at_urls(fetching: TestClient, database: Database) -> None:
    text = "\n".join(map(json.dumps, ROWS))
    batch = send_batch(fetching, text, "application/x-ndjson", front=jpeg(1)).json()
    assert (batch["result"]["accepted"], batch["progress"]["total"]) == (2, 3)
    (error,) = batch["result"]["errors"]
    assert error["row"] == 3
    assert "a user or a password" in error["detail"]
    with database.read() as session:
        children = session.scalars(select(Job).where(Job.parent_id == UUID(batch["id"]))).all()
    photos, urls = sorted(children, key=lambda child: child.total)
    assert (photos.total, urls.total) == (1, 2)
    asked = payload_as(urls, EmbedPayload).fetch
    assert asked
    assert (asked.row, asked.photos) == (2, (URL, sha(1), OTHER))
    assert photos_of(fetching, asked.listing_id) == [sha(1)]


def test_a_table_names_photos_at_urls(fetching: TestClient, client: TestClient) -> None:
    text = f"title,photos\nBoth,{URL} front\n"
    batch = send_batch(fetching, text, "text/csv", front=jpeg(1)).json()
    assert (batch["result"]["accepted"], batch["progress"]["total"]) == (1, 2)
    batch = send_batch(client, text, "text/csv", front=jpeg(1)).json()
    (error,) = batch["result"]["errors"]
    assert error["code"] == "invalid_input"
    assert "MARKETLENS_PHOTO_URLS" in error["detail"]
