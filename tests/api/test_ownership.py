"""A key sees what keys of its name have made; admin keys, and this machine without one, see all."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.caller import Caller
from db.access.keys import create_key, revoke_keys
from db.session import Database
from models.domain.cursors import Cursor
from models.domain.types import ListingMatch, Scope
from tests.support.http import KETTLE, MakeClient, assert_problem, listing_form, submit_photo
from tests.support.pictures import jpeg

MakeKey = Callable[..., dict[str, str]]

QUERIES = ["searches", "recommendations", "embeddings", "predictions"]


@pytest.fixture
def key_of(database: Database) -> MakeKey:
    """Makes the header of a new key with this name and these scopes."""

    def make(name: str, *scopes: Scope) -> dict[str, str]:
        with database.write() as session:
            made = create_key(session, name, scopes or [Scope.SEARCH], datetime.now(UTC))
        return {"Authorization": f"Bearer {made}"}

    return make


@pytest.fixture
def served(make_client: MakeClient) -> TestClient:
    """A client of an application that needs keys."""
    return make_client(host="192.0.2.1")


def submit(client: TestClient, kind: str, **given: Any) -> str:
    """Ask for a query of this kind; its path."""
    if kind == "recommendations":
        response = client.post("/v1/recommendations", json={"limit": 5}, **given)
    else:
        response = submit_photo(client, {"searches": "search"}.get(kind, kind[:-1]), **given)
    assert response.status_code == 202, response.text
    location: str = response.headers["location"]
    return location


@pytest.mark.parametrize("kind", QUERIES)
def test_a_query_is_seen_and_cancelled_by_its_own_key(
    served: TestClient, key_of: MakeKey, kind: str
) -> None:
    alice, bob, admin = key_of("alice"), key_of("bob"), key_of("root", Scope.ADMIN)
    path = submit(served, kind, headers=alice)
    for method in ("GET", "DELETE"):
        assert_problem(served.request(method, path, headers=bob), 404, "not_found")
    if kind in {"searches", "recommendations"}:
        assert_problem(served.get(f"{path}/events", headers=bob), 404, "not_found")
    assert served.get(path, headers=admin).json()["status"] == "queued"
    assert served.get(path, headers=alice).json()["status"] == "queued"
    assert served.delete(path, headers=alice).json()["status"] == "cancelled"


def test_what_is_another_keys_is_answered_as_what_is_not_there(
    served: TestClient, key_of: MakeKey
) -> None:
    path = submit(served, "searches", headers=key_of("alice"))
    bob = key_of("bob")
    theirs = served.get(path, headers=bob)
    none = served.get("/v1/searches/6fa459ea-ee8a-4ca4-894e-db77e160355e", headers=bob)
    assert (theirs.status_code, theirs.json()) == (none.status_code, none.json())


def test_a_write_key_lists_and_touches_its_own_jobs_only(
    served: TestClient, key_of: MakeKey
) -> None:
    search = submit(served, "searches", headers=key_of("alice"))
    job_id = search.rpartition("/")[2]
    writer, other = key_of("feed", Scope.WRITE), key_of("other", Scope.WRITE)
    form = listing_form(dict(KETTLE), jpeg(1))
    embed = served.post("/v1/listings", headers=writer, **form).json()["job"]["id"]
    batch = served.post(
        "/v1/listings:batch",
        headers=writer,
        files={
            "listings": ("rows", b'{"title": "Lamp", "photos": ["a"]}', "application/x-ndjson"),
            "a": ("a", jpeg(2), "image/jpeg"),
        },
    ).json()["id"]
    assert_problem(served.get(f"/v1/jobs/{job_id}", headers=writer), 404, "not_found")
    assert_problem(served.get(f"/v1/jobs/{job_id}/events", headers=writer), 404, "not_found")
    for call in ("cancel", "retry"):
        refused = served.post(f"/v1/jobs/{job_id}:{call}", headers=writer)
        assert_problem(refused, 404, "not_found")
    listed = served.get("/v1/jobs", headers=writer).json()["items"]
    assert {job["type"] for job in listed} == {"embed", "batch"}
    assert {embed, batch} < {job["id"] for job in listed}
    assert len(listed) == 3, "the batch's own embed job is the key's as well"
    assert served.get("/v1/jobs", headers=other).json()["items"] == []
    seen = served.get("/v1/jobs", headers=key_of("root", Scope.ADMIN)).json()["items"]
    assert {job["type"] for job in seen} == {"embed", "batch", "search"}


def test_pages_of_a_keys_jobs_skip_those_of_others(served: TestClient, key_of: MakeKey) -> None:
    writers = [key_of("one", Scope.WRITE), key_of("two", Scope.WRITE)]
    made: list[list[str]] = [[], []]
    for number in range(6):
        form = listing_form(dict(KETTLE), jpeg(number))
        answer = served.post("/v1/listings", headers=writers[number % 2], **form)
        made[number % 2].insert(0, answer.json()["job"]["id"])
    for writer, jobs in zip(writers, made, strict=True):
        page = served.get("/v1/jobs?limit=2", headers=writer).json()
        following = served.get(
            "/v1/jobs", params={"cursor": page["next_cursor"], "limit": 2}, headers=writer
        ).json()
        assert [job["id"] for job in page["items"] + following["items"]] == jobs
        assert following["next_cursor"] is None


def test_the_next_page_of_another_keys_search_is_not_found(
    served: TestClient, key_of: MakeKey
) -> None:
    alice, bob = key_of("alice"), key_of("bob")
    search = UUID(submit(served, "searches", headers=alice).rpartition("/")[2])
    cursor = Cursor(search, "f" * 64, ListingMatch(search, 1, 0.5)).encode()
    asked: dict[str, Any] = {"json": {"cursor": cursor}}
    assert served.post("/v1/searches", headers=alice, **asked).status_code == 202
    assert_problem(served.post("/v1/searches", headers=bob, **asked), 404, "not_found")


def test_saved_searches_are_seen_and_deleted_by_their_own_key(
    served: TestClient, key_of: MakeKey
) -> None:
    alice, bob, admin = key_of("alice"), key_of("bob"), key_of("root", Scope.ADMIN)
    saved = served.post(
        "/v1/saved-searches", json={"name": "Kettles", "text": "kettle"}, headers=alice
    )
    assert saved.status_code == 201, saved.text
    path = saved.headers["location"]
    for method, place in (("GET", path), ("GET", f"{path}/matches"), ("DELETE", path)):
        assert_problem(served.request(method, place, headers=bob), 404, "not_found")
    names = [served.get("/v1/saved-searches", headers=one).json()["items"] for one in (alice, bob)]
    assert [len(items) for items in names] == [1, 0]
    assert len(served.get("/v1/saved-searches", headers=admin).json()["items"]) == 1
    assert served.get(f"{path}/matches", headers=alice).status_code == 200
    assert served.delete(path, headers=alice).status_code == 204


def test_keys_of_one_name_are_one_owners(
    served: TestClient, key_of: MakeKey, database: Database
) -> None:
    """As when a key is rotated: what the old one has asked for is read with the new one."""
    old, new = key_of("shop"), key_of("shop")
    path = submit(served, "searches", headers=old)
    assert served.get(path, headers=new).status_code == 200
    with database.write() as session:
        revoke_keys(session, "shop", datetime.now(UTC))
    assert_problem(served.get(path, headers=new), 401, "unauthenticated")
    assert served.get(path, headers=key_of("shop")).status_code == 200


def test_this_machine_sees_all_without_a_key_and_a_key_used_on_it_owns_what_it_made(
    client: TestClient, served: TestClient, key_of: MakeKey
) -> None:
    alice, bob = key_of("alice"), key_of("bob")
    on_machine = submit(client, "searches", headers=alice)
    through_proxy = submit(served, "searches", headers=bob)
    nobodys = submit(client, "searches")
    for path in (on_machine, through_proxy, nobodys):
        assert client.get(path).status_code == 200
    assert len(client.get("/v1/jobs").json()["items"]) == 3
    assert served.get(on_machine, headers=alice).status_code == 200
    assert_problem(served.get(on_machine, headers=bob), 404, "not_found")
    # What no key has made is no key's: its id is known to who has asked for it alone.
    assert served.get(nobodys, headers=alice).status_code == 200
    listed = served.get("/v1/jobs", headers=key_of("alice", Scope.WRITE)).json()["items"]
    assert [f"/v1/searches/{job['id']}" for job in listed] == [on_machine]


def test_a_stored_answer_is_given_to_its_own_key_only(served: TestClient, key_of: MakeKey) -> None:
    """The same `Idempotency-Key` of two keys are two requests."""
    alice, bob = key_of("alice"), key_of("bob")
    name = {"Idempotency-Key": "once"}
    first = submit(served, "searches", headers={**alice, **name})
    assert submit(served, "searches", headers={**alice, **name}) == first
    assert submit(served, "searches", headers={**bob, **name}) != first


@given(
    name=st.none() | st.text(max_size=3),
    sees_all=st.booleans(),
    made_by=st.none() | st.text(max_size=3),
)
def test_what_may_be_seen(name: str | None, sees_all: bool, made_by: str | None) -> None:
    caller = Caller(name, sees_all)
    assert caller.may_see(made_by) == (sees_all or made_by in {None, name})
    # A list never shows what can't be read by its id.
    listed_for = caller.listed_for
    assert listed_for is not None or sees_all
    if listed_for is not None and made_by == listed_for and name:
        assert caller.may_see(made_by)
