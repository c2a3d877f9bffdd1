"""What would wait too long is refused at once; what needs no room is answered all the same."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.jobs import backlog as backlog_module
from api.jobs.backlog import Backlog
from db.jobs.counting import Load
from tests.support.http import MakeClient, assert_problem, submit_photo

ONCE = {"Idempotency-Key": "once"}
QUERIES = ["searches", "embeddings", "predictions", "recommendations"]


@pytest.fixture
def client(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(backlog_module, "LOOK_EVERY_S", 1_000)
    return make_client(max_wait_seconds=2)


@pytest.fixture
def fill(client: TestClient) -> Callable[[], None]:
    """Ten queries a second are answered, and a hundred wait."""

    def seen() -> None:
        backlog: Backlog = client.app.state.resources.backlog  # type: ignore[attr-defined] # Starlette's own
        for still_open in (110, 100):
            backlog.look(Load(still_open, 0), 1.0)

    return seen


@pytest.mark.parametrize("name", QUERIES)
def test_queries_are_refused_before_anything_else_is_done(
    client: TestClient, fill: Callable[[], None], name: str
) -> None:
    broken: Any = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    assert client.post(f"/v1/{name}", **broken).status_code in {400, 415, 422}
    fill()
    refused = client.post(f"/v1/{name}", **broken)
    assert_problem(refused, 429, "overloaded")
    assert refused.headers["retry-after"] == "10"
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_what_is_no_query_is_answered(client: TestClient, fill: Callable[[], None]) -> None:
    path = submit_photo(client, "search").headers["location"]
    fill()
    assert client.get(path).json()["status"] == "queued"
    assert client.delete(path).json()["status"] == "cancelled"
    assert client.get("/v1/listings").status_code == 200
    assert client.post("/v1/saved-searches", json={"name": "a", "text": "kettle"}).is_success


def test_a_stored_answer_needs_no_room(client: TestClient, fill: Callable[[], None]) -> None:
    first = submit_photo(client, "search", headers=ONCE)
    fill()
    again = submit_photo(client, "search", headers=ONCE)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert_problem(
        submit_photo(client, "search", headers={"Idempotency-Key": "b"}), 429, "overloaded"
    )
