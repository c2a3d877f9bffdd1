"""Saving, listing and deleting searches, and reading what they have found."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.listings.schemas import ListingOut
from db.jobs import reading
from db.saved_searches import searches
from db.saved_searches.matches import NewMatch, add_matches
from db.saved_searches.tables import SavedSearch
from db.session import Database
from models.domain.types import JobType, Scope
from tests.support.http import UNKNOWN_ID, MakeClient, assert_problem, create_listing
from tests.support.pictures import jpeg

HOOK = {"url": "https://shop.example/hooks?token=1"}


def save_photo(client: TestClient, *photos: bytes, **stated: Any) -> Any:
    """Save a search by these photos, multipart."""
    files = [("photo", (f"{number}.jpg", data)) for number, data in enumerate(photos)]
    fields = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in stated.items()
    }
    return client.post("/v1/saved-searches", files=files, data={"name": "Kettles", **fields})


def save_listing(client: TestClient, **stated: Any) -> Any:
    listing_id = create_listing(client).json()["listing_id"]
    body = {"name": "Kettles", "listing_id": listing_id, **stated}
    return client.post("/v1/saved-searches", json=body)


def test_saved_means_stored_though_no_broker_answers(
    client: TestClient, database: Database
) -> None:
    response = save_photo(client, jpeg(1), name="  Red  kettles ☕ ", filter={"price_max": "20"})
    assert response.status_code == 201, response.text
    saved = response.json()
    assert response.headers["location"] == f"/v1/saved-searches/{saved['id']}"
    assert (saved["name"], saved["status"], saved["error"]) == ("Red kettles ☕", "pending", None)
    assert saved["webhook"] is None
    assert saved["search"]["filter"] == {"price_max": "20"}
    assert len(saved["search"]["positive"]) == 1
    assert client.get(response.headers["location"]).json() == saved
    with database.read() as session:
        assert [job.type for job in reading.recent(session, 10, None)] == [JobType.MATCH]


def test_a_search_as_a_body_alone(client: TestClient) -> None:
    response = client.post(
        "/v1/saved-searches?name=Kettles&min_similarity=0.5",
        content=jpeg(1),
        headers={"Content-Type": "image/jpeg"},
    )
    assert response.status_code == 201, response.text
    assert response.json()["search"]["min_similarity"] == 0.5


def test_a_named_listing_counts_with_the_photos_it_has_now(
    client: TestClient, database: Database
) -> None:
    saved = save_listing(client).json()
    with database.read() as session:
        row = session.scalars(select(SavedSearch)).one()
    (listing_id,) = saved["search"]["positive"]
    assert len(row.listing_photos[listing_id]) == 2  # type: ignore[arg-type]
    assert client.delete(f"/v1/listings/{listing_id}").status_code == 204
    assert client.get(f"/v1/saved-searches/{saved['id']}").status_code == 200


def test_the_secret_is_shown_once(client: TestClient) -> None:
    saved = save_photo(client, jpeg(1), webhook=HOOK).json()
    secret = saved["webhook"]["secret"]
    assert secret.startswith("whsec_")
    again = client.get(f"/v1/saved-searches/{saved['id']}")
    assert again.json()["webhook"] == {**HOOK, "secret": None, "disabled_at": None}
    assert secret not in client.get("/v1/saved-searches").text
    other = save_photo(client, jpeg(1), webhook=HOOK).json()
    assert other["webhook"]["secret"] != secret


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://shop.example/", "https://"),
        ("ftp://shop.example/", "https://"),
        ("file:///etc/passwd", "not valid"),
        ("https://", "not valid"),
        ("shop.example", "not valid"),
        ("https://me:secret@shop.example/", "password"),
        ("https://127.0.0.1/", "not public"),
        ("https://[::ffff:127.0.0.1]/", "not public"),
        ("https://169.254.169.254/latest/meta-data", "not public"),
        ("https://shop.example:0/", "not valid"),
        ("https://shop.example/" + "x" * 2_048, "2048"),
        ("https://sh\u0000op.example/", "not valid"),
    ],
)
def test_webhooks_that_are_refused(client: TestClient, url: str, why: str) -> None:
    response = save_photo(client, jpeg(1), webhook={"url": url})
    assert_problem(response, 422, "invalid_input")
    assert why in response.json()["detail"]
    assert client.get("/v1/saved-searches").json()["items"] == []


def test_hosts_of_ones_own_may_be_private_and_without_tls(make_client: MakeClient) -> None:
    client = make_client(webhook_hosts="127.0.0.1, Hooks.internal")
    for url in ("http://127.0.0.1:9/", "http://hooks.internal/x", "https://HOOKS.internal/"):
        assert save_photo(client, jpeg(1), webhook={"url": url}).status_code == 201
    refused = save_photo(client, jpeg(1), webhook={"url": "http://127.0.0.2/"})
    assert_problem(refused, 422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        {"listing_id": UNKNOWN_ID},
        {"name": "Kettles"},
        {"name": "  ", "listing_id": UNKNOWN_ID},
        {"name": "x" * 201, "listing_id": UNKNOWN_ID},
        {"name": "Kettles", "listing_id": UNKNOWN_ID, "cursor": "abc"},
        {"name": "Kettles", "listing_id": UNKNOWN_ID, "min_similarity": 1.1},
        {"name": "Kettles", "text": "-chipped"},
        {"name": "Kettles", "text": "…"},
        {"name": "Kettles", "text": "x" * 501},
        {"name": "Kettles", "text": "red kettle", "min_similarity": 0.5},
        {"name": "Kettles", "text": "red kettle", "negative": [UNKNOWN_ID]},
        {"name": "Kettles", "listing_id": UNKNOWN_ID, "webhook": {}},
        {"name": "Kettles", "listing_id": UNKNOWN_ID, "webhok": HOOK},
    ],
)
def test_bad_requests(client: TestClient, body: dict[str, Any]) -> None:
    assert_problem(client.post("/v1/saved-searches", json=body), 422, "invalid_input")


def test_words_beside_a_photo_or_a_listing(client: TestClient, database: Database) -> None:
    for response in (save_photo(client, jpeg(1), text="red"), save_listing(client, text="red")):
        assert response.status_code == 201, response.text
        assert response.json()["search"]["text"] == "red"
        assert len(response.json()["search"]["positive"]) == 1
    with database.read() as session:
        payloads = list(session.scalars(select(SavedSearch.payload)))
    assert [payload["text"] for payload in payloads] == ["red", "red"]


def test_words_alone(client: TestClient, database: Database) -> None:
    body = {"name": "Kettles", "text": '"red kettle" -chipped', "filter": {"price_max": "20"}}
    response = client.post("/v1/saved-searches", json=body)
    assert response.status_code == 201, response.text
    saved = response.json()
    assert saved["search"] == {"text": body["text"], "filter": {"price_max": "20"}}
    listing_id = create_listing(client).json()["listing_id"]
    with database.write() as session:
        number = session.scalars(select(SavedSearch.number)).one()
        found = NewMatch(number, UUID(listing_id), None, None, has_webhook=False)
        add_matches(session, [found], datetime.now(UTC))
    (item,) = client.get(f"/v1/saved-searches/{saved['id']}/matches").json()["items"]
    assert (item["photo"], item["similarity"]) == (None, None)


def test_a_similarity_of_words_alone_is_refused_in_words(client: TestClient) -> None:
    body = {"name": "Kettles", "text": "red kettle", "min_similarity": 0.5}
    response = client.post("/v1/saved-searches", json=body)
    assert_problem(response, 422, "invalid_input")
    assert "min_similarity needs listing_id or positive" in response.json()["detail"]


def test_what_is_not_there(client: TestClient) -> None:
    body = {"name": "Kettles", "listing_id": UNKNOWN_ID}
    assert_problem(client.post("/v1/saved-searches", json=body), 404, "not_found")
    for path in (UNKNOWN_ID, f"{UNKNOWN_ID}/matches", "no-id"):
        assert_problem(client.get(f"/v1/saved-searches/{path}"), 404, "not_found")
    assert_problem(client.delete(f"/v1/saved-searches/{UNKNOWN_ID}"), 404, "not_found")


def test_pages_show_each_once_newest_first(client: TestClient) -> None:
    made = [save_photo(client, jpeg(1), name=f"{number}").json()["name"] for number in range(5)]
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        given_cursor = {"cursor": cursor} if cursor else {}
        page = client.get("/v1/saved-searches", params={"limit": 2, **given_cursor}).json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert names == made[::-1]


def test_a_deleted_search_is_gone_with_its_matches(client: TestClient, database: Database) -> None:
    saved = save_listing(client).json()
    place = f"/v1/saved-searches/{saved['id']}"
    find(database, saved["id"], saved["search"]["positive"][0], datetime.now(UTC))
    assert len(client.get(f"{place}/matches").json()["items"]) == 1
    assert client.delete(place).status_code == 204
    assert_problem(client.get(place), 404, "not_found")
    assert_problem(client.get(f"{place}/matches"), 404, "not_found")


def find(database: Database, search_id: str, listing_id: str, at: datetime) -> None:
    """Store a match."""
    with database.write() as session:
        number = session.scalars(
            select(SavedSearch.number).where(SavedSearch.id == UUID(search_id))
        ).one()
        found = NewMatch(number, UUID(listing_id), 1, 0.87654321, has_webhook=False)
        add_matches(session, [found], at)


def test_matches_show_listings_as_they_are_newest_first(
    client: TestClient, database: Database
) -> None:
    saved = save_photo(client, jpeg(1)).json()
    listings = [create_listing(client, title=f"{n}").json()["listing_id"] for n in range(5)]
    start = datetime(2030, 1, 1, tzinfo=UTC)
    for number, listing_id in enumerate(listings):
        # Two at a time.
        find(database, saved["id"], listing_id, start + timedelta(seconds=number // 2))
    client.delete(f"/v1/listings/{listings[0]}")
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        given_cursor = {"cursor": cursor} if cursor else {}
        path = f"/v1/saved-searches/{saved['id']}/matches"
        page = client.get(path, params={"limit": 2, **given_cursor}).json()
        items += page["items"]
        cursor = page["next_cursor"]
    assert len(items) == 5
    assert {item["listing_id"] for item in items} == set(listings)
    assert [item["matched_at"] for item in items] == sorted(
        (item["matched_at"] for item in items), reverse=True
    )
    gone = [item for item in items if item["listing"] is None]
    assert [item["listing_id"] for item in gone] == [listings[0]]
    assert items[0]["similarity"] == 0.876543
    assert items[0]["listing"]["title"] == "4"
    ListingOut.model_validate(items[0]["listing"])


def test_there_are_only_so_many(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "MAX_SAVED_SEARCHES", 1)
    assert save_photo(client, jpeg(1)).status_code == 201
    assert_problem(save_photo(client, jpeg(1)), 409, "conflict")


def test_a_key_for_searching_is_needed(
    make_client: MakeClient, key: Callable[..., dict[str, str]]
) -> None:
    client = make_client(host="0.0.0.0")  # noqa: S104 - on purpose
    assert client.get("/v1/saved-searches").status_code == 401
    assert client.get("/v1/saved-searches", headers=key(Scope.WRITE)).status_code == 403
    assert client.get("/v1/saved-searches", headers=key(Scope.SEARCH)).status_code == 200
