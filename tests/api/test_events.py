"""Events and users by HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from db.events.users import user_key
from db.jobs import accepting
from db.session import Database
from models.domain.clock import utc_now
from models.domain.job_payloads import SearchPayload
from models.domain.types import Scope
from tests.support.events import add_listings
from tests.support.http import UNKNOWN_ID, MakeClient, assert_problem

LISTINGS: Final = 3
JSON: Final = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def listings(database: Database) -> None:
    add_listings(database, LISTINGS, utc_now())


def stated(event_id: str, listing: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "user": "ann",
        "type": "viewed",
        "listing_id": str(UUID(int=listing)),
        "at": utc_now().isoformat(),
        **changes,
    }


def send(client: TestClient, *events: dict[str, Any], **given: Any) -> Any:
    return client.post("/v1/events", json={"events": list(events)}, **given)


def known(client: TestClient, user: str, **asked: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = client.get(f"/v1/users/{user}", params=asked)
        assert page.status_code == 200, page.text
        items += page.json()["items"]
        if page.json()["next_cursor"] is None:
            return items
        asked["cursor"] = page.json()["next_cursor"]


def test_events_are_stored_once(client: TestClient) -> None:
    batch = [stated("a"), stated("b", 2), stated("a"), stated("c", 9)]
    first = send(client, *batch)
    assert first.status_code == 200, first.text
    assert first.json() == {
        "stored": 2,
        "duplicates": 1,
        "rejected": [
            {
                "index": 3,
                "event_id": "c",
                "code": "unknown_listing",
                "detail": f"There is no listing {UUID(int=9)}.",
            }
        ],
    }
    again = send(client, *batch).json()
    assert (again["stored"], again["duplicates"]) == (0, 3)


@pytest.mark.parametrize(
    ("ago", "code"),
    [(timedelta(days=181), "too_old"), (timedelta(hours=-2), "in_future")],
)
def test_times_that_can_not_be_are_refused(client: TestClient, ago: timedelta, code: str) -> None:
    told = send(client, stated("a", at=(utc_now() - ago).isoformat()), stated("b"))
    assert told.json()["stored"] == 1
    assert [one["code"] for one in told.json()["rejected"]] == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "liked"},
        {"user": ""},
        {"user": "a" * 201},
        {"user": "a\0"},
        {"event_id": ""},
        {"listing_id": "7"},
        {"at": "2030-01-01T00:00:00"},
        {"at": 1_900_000_000},
        {"position": -1},
        {"colour": "red"},
    ],
)
def test_what_breaks_the_schema_is_refused_as_a_whole(
    client: TestClient, changes: dict[str, Any]
) -> None:
    refused = send(client, stated("a"), {**stated("b"), **changes})
    assert_problem(refused, 422, "invalid_input")
    assert send(client, stated("a")).json()["stored"] == 1


def test_a_batch_has_a_thousand_events_at_most(client: TestClient) -> None:
    batch = [stated(f"{n}", n % LISTINGS + 1) for n in range(1001)]
    assert_problem(send(client, *batch), 422, "invalid_input")
    assert_problem(send(client), 422, "invalid_input")
    assert send(client, *batch[1:]).json()["stored"] == 1000


def test_what_is_no_json_is_refused(client: TestClient) -> None:
    assert_problem(client.post("/v1/events", content=b"{", headers=JSON), 400, "malformed_body")
    assert_problem(client.post("/v1/events", data={"a": "b"}), 415, "unsupported_body")


def test_as_many_events_as_may_be_fit_whatever_is_in_them(make_client: MakeClient) -> None:
    """Also where photos must be small."""
    client = make_client(max_upload_bytes=1000)
    long = "\U0001f600" * 198
    batch = [stated(f"{long}{n % 10}{n // 100}", user=long) for n in range(1000)]
    assert send(client, *batch).json()["stored"] == 100
    assert_problem(
        client.post(
            "/v1/events", content=b" " * 9_000_000, headers={"Content-Type": "application/json"}
        ),
        413,
        "too_large",
    )


def test_a_user_is_exported_page_by_page(client: TestClient) -> None:
    now = utc_now()
    kinds = ["viewed", "impression", "hidden", "saved", "contacted", "purchased"]
    batch = [
        stated(
            f"{n}",
            n % LISTINGS + 1,
            type=kinds[n % 6],
            # Some at the same time.
            at=(now - timedelta(seconds=n // 3)).isoformat(),
            position=n,
            search_id=UNKNOWN_ID,
        )
        for n in range(20)
    ]
    send(client, *batch, stated("of another", user="bob"))
    for limit in (1, 3, 20, 200):
        items = known(client, "ann", limit=limit)
        assert [item["position"] for item in items] == sorted(range(20), key=lambda n: (n // 3, -n))
    assert items[0]["listing_id"] == batch[2]["listing_id"]
    assert items[0]["search_id"] == UNKNOWN_ID
    assert known(client, "nobody") == []


@pytest.mark.parametrize("user", ["ann", "a/b", "ä ö?&=#%", "events", ".", "\U0001f600" * 200])
def test_a_user_is_forgotten_by_any_pseudonym(client: TestClient, user: str) -> None:
    send(client, stated("a", user=user), stated("b", user="somebody else"))
    path = quote(user, safe="").replace(".", "%2E")
    assert len(known(client, path)) == 1
    gone = client.delete(f"/v1/users/{path}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert known(client, path) == []
    assert len(known(client, "somebody%20else")) == 1
    assert client.delete(f"/v1/users/{path}").status_code == 204


def test_a_key_for_events_writes_events_and_nothing_else(
    make_client: MakeClient, key: Callable[..., dict[str, str]]
) -> None:
    client = make_client(host="0.0.0.0")  # noqa: S104 - with keys
    events = key(Scope.EVENTS)
    assert send(client, stated("a"), headers=events).status_code == 200
    assert send(client, stated("b"), headers=key(Scope.ADMIN)).status_code == 200
    for headers in (key(Scope.SEARCH), key(Scope.WRITE)):
        assert_problem(send(client, stated("c"), headers=headers), 403, "forbidden")
    assert_problem(send(client, stated("c")), 401, "unauthenticated")
    document = client.get("/openapi.json").json()["paths"]
    others = 0
    for path, calls in document.items():
        for method, call in calls.items():
            if "security" not in call or path == "/v1/events":
                continue
            others += 1
            filled = path.replace("{", "").replace("}", "")
            answer = client.request(method, filled, headers=events)
            assert_problem(answer, 403, "forbidden")
    assert others > 20
    assert client.get("/v1/users/ann", headers=key(Scope.WRITE)).status_code == 200


class SearchFor(SearchPayload):
    """A search that names a user."""

    user: str


def test_jobs_for_a_user_are_told_and_forgotten_with_the_user(
    client: TestClient, database: Database
) -> None:
    def accept_for(user: str) -> str:
        with database.write() as session:
            payload = SearchFor(text="kettle", limit=1, user=user_key(session, user).hex())
            job = accepting.accept(session, payload, job_id=uuid4(), now=utc_now())
        return str(job.id)

    mine, other = accept_for("ann"), accept_for("bob")
    send(client, stated("a"), stated("b", 2))
    assert client.get("/v1/users/ann").json()["jobs"] == [mine]
    first = client.get("/v1/users/ann", params={"limit": 1}).json()
    second = client.get("/v1/users/ann", params={"cursor": first["next_cursor"]}).json()
    assert (first["jobs"], second["jobs"]) == ([mine], [])
    assert client.delete("/v1/users/ann").status_code == 204
    assert_problem(client.get(f"/v1/jobs/{mine}"), 404, "not_found")
    assert client.get(f"/v1/jobs/{other}").status_code == 200
    assert client.get("/v1/users/ann").json() == {"items": [], "next_cursor": None, "jobs": []}
