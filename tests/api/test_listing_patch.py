"""Changing listings: JSON Merge Patch (RFC 7396) of what they state."""

import json
import threading
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from sqlalchemy import select

from api.listings.merge_patch import merge_patch
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Job, ListingChange
from tests.support.answering import Answerer
from tests.support.http import (
    KETTLE,
    UNKNOWN_ID,
    assert_problem,
    create_listing,
    listing_form,
)
from tests.support.pictures import jpeg

MERGE_PATCH = "application/merge-patch+json"
NOT_STATED = {"id", "external_id", "feed", "photos", "created_at", "updated_at"}

# RFC 7396, appendix A.
RFC_EXAMPLES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "merged"), RFC_EXAMPLES)
def test_the_examples_of_the_rfc(target: JsonValue, patch: JsonValue, merged: JsonValue) -> None:
    assert merge_patch(target, patch) == merged


def patched(
    client: TestClient, listing_id: str, patch: object, kind: str = MERGE_PATCH, **headers: str
) -> Response:
    sent = {"Content-Type": kind, **{name.replace("_", "-"): headers[name] for name in headers}}
    return client.patch(f"/v1/listings/{listing_id}", content=json.dumps(patch), headers=sent)


def stated(client: TestClient, listing_id: str) -> dict[str, Any]:
    listing = client.get(f"/v1/listings/{listing_id}").json()
    return {name: value for name, value in listing.items() if name not in NOT_STATED}


def new_listing(client: TestClient, **changes: Any) -> str:
    return str(create_listing(client, **changes).json()["listing_id"])


def jobs_in(database: Database) -> list[UUID]:
    with database.read() as session:
        return list(session.scalars(select(Job.id)))


@pytest.mark.parametrize("kind", [MERGE_PATCH, "application/json", f"{MERGE_PATCH};charset=utf-8"])
def test_what_is_stated_changes_and_the_rest_stays(
    client: TestClient, database: Database, kind: str
) -> None:
    listing_id = new_listing(client, attributes={"brand": "Acme", "size": 1, "boxed": True})
    before, accepted = client.get(f"/v1/listings/{listing_id}").json(), jobs_in(database)
    patch = {
        "price": "9.5",
        "status": "sold",
        "seller": None,
        "category": "Kitchen > Kettles",
        "attributes": {"Brand": None, "size": 2, "colour": ["red"]},
    }
    response = patched(client, listing_id, patch, kind)
    assert response.status_code == 200, response.text
    after = client.get(f"/v1/listings/{listing_id}").json()
    assert response.json() == after
    assert after == {
        **before,
        "price": "9.50",
        "status": "sold",
        "seller": None,
        "category": "Kitchen / Kettles",
        "attributes": {"boxed": True, "colour": ["red"], "size": 2},
        "updated_at": after["updated_at"],
    }
    assert after["updated_at"] > before["updated_at"]
    assert jobs_in(database) == accepted


def test_every_change_is_in_the_feed_of_changes(client: TestClient, database: Database) -> None:
    listing_id = new_listing(client)
    assert patched(client, listing_id, {"title": "Blue"}).status_code == 200
    assert patched(client, listing_id, {}).status_code == 200
    with database.read() as session:
        changes = session.scalars(select(ListingChange.listing_id)).all()
    assert changes == [UUID(listing_id)] * 2


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"title": None}, "title"),
        ({"title": " "}, "title"),
        ({"titel": "x"}, "did you mean 'title'"),
        ({"id": UNKNOWN_ID}, "'id' is unknown"),
        ({"price": None}, "price and currency go together"),
        ({"currency": "gbp"}, "currency"),
        ({"latitude": None}, "latitude and longitude go together"),
        ({"latitude": 91}, "latitude"),
        ({"price": -1}, "price"),
        ({"status": "deleted"}, "status"),
        ({"attributes": {"size": {}}}, "'size'"),
        ({"attributes": {"size": 1, "Size ": 2}}, "'size' is stated twice"),
        ({"attributes": {" ": 1}}, "needs a name"),
        ({"attributes": 1}, "attributes"),
        ({"photos": []}, "photos"),
        ({"photos": None}, "photos"),
        ({"photos": ["x"]}, "photos"),
        ({"photos": [f"{7:064x}"]}, "is no stored photo"),
        ({"photos": ["https://x.example/a.jpg"]}, "MARKETLENS_PHOTO_URLS"),
        ([], "object"),
        ("title", "object"),
        (None, "object"),
    ],
)
def test_what_put_would_refuse_is_refused_and_changes_nothing(
    client: TestClient, patch: object, words: str
) -> None:
    listing_id = new_listing(client, attributes={"brand": "Acme"})
    before = client.get(f"/v1/listings/{listing_id}").json()
    refused = patched(client, listing_id, patch)
    assert_problem(refused, 422, "invalid_input")
    assert words in refused.json()["detail"]
    assert client.get(f"/v1/listings/{listing_id}").json() == before


def test_who_can_be_changed_and_how(client: TestClient) -> None:
    listing_id = new_listing(client)
    assert_problem(patched(client, UNKNOWN_ID, {}), 404, "not_found")
    assert_problem(patched(client, "no-id", {}), 404, "not_found")
    for kind in ("application/json-patch+json", "text/plain", "multipart/form-data"):
        assert_problem(patched(client, listing_id, {}, kind), 415, "unsupported_body")
    place = f"/v1/listings/{listing_id}"
    sent = {"Content-Type": MERGE_PATCH}
    assert_problem(client.patch(place, content="{", headers=sent), 400, "malformed_body")
    big = json.dumps({"title": "x" * 2_000_000})
    assert_problem(client.patch(place, content=big, headers=sent), 413, "too_large")
    assert "PATCH" in client.options(place).headers["allow"]
    assert client.delete(place).status_code == 204
    assert_problem(patched(client, listing_id, {"title": "x"}), 404, "not_found")


def test_who_has_seen_an_older_one_can_refuse_to_overwrite_it(client: TestClient) -> None:
    listing_id = new_listing(client)
    tag = client.get(f"/v1/listings/{listing_id}").headers["etag"]
    changed = patched(client, listing_id, {"title": "Blue"}, if_match=f'"other", {tag}')
    assert changed.status_code == 200
    refused = patched(client, listing_id, {"title": "Red"}, if_match=tag)
    assert_problem(refused, 412, "changed_meanwhile")
    assert stated(client, listing_id)["title"] == "Blue"
    newest = changed.headers["etag"]
    assert newest == client.get(f"/v1/listings/{listing_id}").headers["etag"]
    weak = patched(client, listing_id, {"title": "Red"}, if_match=f"W/{newest}")
    assert_problem(weak, 412, "changed_meanwhile")
    assert patched(client, listing_id, {"title": "Red"}, if_match=newest).status_code == 200
    assert patched(client, listing_id, {"title": "Old"}, if_match="*").status_code == 200


def test_photos_are_replaced_by_stored_ones(client: TestClient, database: Database) -> None:
    listing_id = new_listing(client)
    place = f"/v1/listings/{listing_id}"
    first, second = (photo["id"] for photo in client.get(place).json()["photos"])
    other = create_listing(client).json()["listing_id"]
    client.put(f"/v1/listings/{other}", **listing_form(KETTLE, jpeg(3)))
    third = client.get(f"/v1/listings/{other}").json()["photos"][0]["id"]
    before = jobs_in(database)
    changed = patched(client, listing_id, {"photos": [third, second]})
    # No worker has embedded any of them.
    assert changed.status_code == 202, changed.text
    body = changed.json()
    assert (body["listing_id"], body["job"]["type"]) == (listing_id, "embed")
    assert body["job"]["progress"]["total"] == 2
    assert changed.headers["location"] == f"/v1/jobs/{body['job']['id']}"
    assert len(jobs_in(database)) == len(before) + 1
    assert [photo["id"] for photo in client.get(place).json()["photos"]] == [third, second]
    assert first not in client.get(place).text


def test_a_change_counts_from_the_next_search_on_and_embeds_nothing(
    client: TestClient, database: Database, store: PhotoStore, tmp_path: Path
) -> None:
    worker = Answerer(database, store, tmp_path / "generations")
    worker.activate()
    listing_id, other = new_listing(client), new_listing(client)
    worker.embed_listings()

    def found(**wanted: object) -> list[dict[str, Any]]:
        data = {"filter": json.dumps(wanted)}
        search = client.post("/v1/searches", data=data, files={"photo": jpeg(1)}).json()
        worker.answer()
        answer = client.get(f"/v1/searches/{search['id']}").json()
        results: list[dict[str, Any]] = answer["result"]["results"]
        return results

    assert len(found(price_max=20, currency="GBP")) == 2
    before = jobs_in(database)
    patch = {"price": "99.00", "attributes": {"brand": "Acme", "size": 7}}
    assert patched(client, listing_id, patch).status_code == 200
    assert jobs_in(database) == before
    assert [row["listing_id"] for row in found(price_max=20, currency="GBP")] == [other]
    (changed,) = found(price_min=90, currency="GBP")
    assert (changed["listing_id"], changed["price"]) == (listing_id, "99.00")
    assert changed["attributes"] == {"brand": "Acme", "size": 7}
    assert patched(client, listing_id, {"status": "sold"}).status_code == 200
    assert found(price_min=90, currency="GBP") == []

    # Photos that are embedded already need no job, in whatever order.
    before = jobs_in(database)
    first, second = (
        photo["id"] for photo in client.get(f"/v1/listings/{listing_id}").json()["photos"]
    )
    for photos in ([second, first], [second]):
        answer = patched(client, listing_id, {"photos": photos})
        assert answer.status_code == 200, answer.text
        assert [photo["id"] for photo in answer.json()["photos"]] == photos
    assert jobs_in(database) == before


def test_changes_of_different_fields_at_once_all_survive(client: TestClient) -> None:
    listing_id = new_listing(client)
    fields: list[dict[str, object]] = [
        {"title": "Blue"},
        {"price": "1.00"},
        {"seller": "kim"},
        {"category": f"New {uuid4()} / One"},
        {"attributes": {"a": 1}},
        {"attributes": {"b": 2}},
        {"description": "Changed."},
        {"location": "Poole, Dorset"},
    ]
    start = threading.Barrier(len(fields))
    answers: list[int] = []

    def change(patch: object) -> None:
        start.wait()
        answers.append(patched(client, listing_id, patch).status_code)

    threads = [threading.Thread(target=change, args=(patch,)) for patch in fields]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * len(fields)
    after = stated(client, listing_id)
    assert after["attributes"] == {"a": 1, "b": 2}
    for patch in fields:
        for name, value in patch.items():
            assert name == "attributes" or after[name] == value


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)
VALUES = st.one_of(
    TEXT, st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.lists(TEXT, max_size=3)
)
NAMES = st.sampled_from(["brand", "Brand", "size", "colour"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "title": TEXT,
    "description": TEXT,
    "category": st.sampled_from(["Home", "Home / Lamps", "TV/DVD", ""]),
    "price": st.sampled_from([0, 12.5, "3.10", "99999", "-1"]),
    "currency": st.sampled_from(["GBP", "EUR", "pounds"]),
    "location": TEXT,
    "latitude": st.sampled_from([0, -53.25, 91]),
    "longitude": st.sampled_from([1, 0.125, 181]),
    "seller": TEXT,
    "status": st.sampled_from(["active", "sold", "deleted"]),
}
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=3)
PRICES = st.sampled_from([{}, {"price": "3.10", "currency": "GBP"}])
PLACES = st.sampled_from([{}, {"latitude": 0, "longitude": 1.5}])
ALONE = {name: FIELDS[name] for name in ("description", "category", "location", "seller")}
DOCUMENTS = st.tuples(
    st.fixed_dictionaries({"title": TEXT}, optional={**ALONE, "attributes": ATTRIBUTES}),
    PRICES,
    PLACES,
).map(lambda parts: {**parts[0], **parts[1], **parts[2]})
PATCHES = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.none() | values for name, values in FIELDS.items()},
        "attributes": st.none() | st.dictionaries(NAMES, st.none() | VALUES, max_size=3),
    },
)


def by_stored_name(document: dict[str, Any]) -> dict[str, Any]:
    """The patch with attributes by the names that are stored, but for one that is stated twice."""
    attributes = document.get("attributes")
    named = {name.lower(): value for name, value in (attributes or {}).items()}
    is_unambiguous = attributes and len(named) == len(attributes)
    return {**document, "attributes": named} if is_unambiguous else document


def test_a_patch_is_as_putting_the_merged_document(client: TestClient) -> None:
    @settings(deadline=None, max_examples=25)
    @given(document=DOCUMENTS, patch=PATCHES)
    def check(document: dict[str, Any], patch: dict[str, Any]) -> None:
        created = client.post("/v1/listings", **listing_form(document, jpeg(1)))
        if created.status_code != 202:
            return
        listing_id = created.json()["listing_id"]
        before = stated(client, listing_id)
        merged = merge_patch(before, by_stored_name(patch))
        assert isinstance(merged, dict)
        changed = patched(client, listing_id, patch)
        put = client.put(f"/v1/listings/{uuid4()}", **listing_form(merged, jpeg(1)))
        if changed.status_code == 200:
            assert put.status_code == 202, put.text
            shown = stated(client, put.json()["listing_id"])
            assert stated(client, listing_id) == shown
        else:
            assert (changed.status_code, put.status_code) == (422, 422), changed.text
            assert stated(client, listing_id) == before

    check()
