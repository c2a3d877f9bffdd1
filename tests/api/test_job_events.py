"""A job can be followed by server-sent events: each change once, and then its end."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.jobs import events
from db.jobs import accepting, attempts, cancelling, claiming
from db.session import Database
from models.domain.job_payloads import EmbedPayload
from models.domain.types import Scope
from tests.support.http import assert_problem, submit_photo

LEASE = timedelta(seconds=60)


@pytest.fixture
def job_id(database: Database) -> UUID:
    with database.write() as session:
        payload = EmbedPayload(photo_ids=(1, 2))
        return accepting.accept(session, payload, job_id=uuid4(), now=datetime.now(UTC), total=2).id


def followed(client: TestClient, job_id: UUID) -> list[dict[str, Any]]:
    """What the stream has told when it ends."""
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line.startswith("data:")]
    return [json.loads(line.removeprefix("data:")) for line in lines]


def test_each_change_is_told_once(
    client: TestClient, database: Database, job_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PROGRESS_EVERY_S", 0.02)
    with ThreadPoolExecutor(1) as threads:
        told = threads.submit(followed, client, job_id)
        with database.write() as session:
            claim = claiming.claim(session, job_id, datetime.now(UTC), LEASE)
        assert claim
        with database.write() as session:
            now = datetime.now(UTC)
            attempts.heartbeat(session, claim, now, LEASE, done=1, total=2)
        with database.write() as session:
            cancelling.cancel(session, job_id, datetime.now(UTC))
        states = [(one["status"], one["progress"]["done"]) for one in told.result(20)]
    # It may come too late for what was before, never for the end.
    assert states[-1] == ("cancelled", 1)
    assert len(set(states)) == len(states)
    assert set(states) <= {("queued", 0), ("running", 0), ("running", 1), ("cancelled", 1)}


def test_the_stream_of_a_job_that_has_ended_is_its_end(
    client: TestClient, database: Database, job_id: UUID
) -> None:
    with database.write() as session:
        cancelling.cancel(session, job_id, datetime.now(UTC))
    (told,) = followed(client, job_id)
    assert told == client.get(f"/v1/jobs/{job_id}").json()


def test_a_job_that_is_not_there_is_404(client: TestClient) -> None:
    assert_problem(client.get(f"/v1/jobs/{uuid4()}/events"), 404, "not_found")
    assert_problem(client.get("/v1/jobs/nonsense/events"), 404, "not_found")


def test_it_needs_the_key_that_jobs_need(
    make_client: Any, key: Callable[..., dict[str, str]], job_id: UUID
) -> None:
    client = make_client(host="0.0.0.0")  # noqa: S104 - nothing is bound
    path = f"/v1/jobs/{job_id}/events"
    assert_problem(client.get(path), 401, "unauthenticated")
    assert_problem(client.get(path, headers=key(Scope.SEARCH)), 403, "forbidden")


def test_a_search_is_followed_with_the_key_that_searches(
    make_client: Any, database: Database, key: Callable[..., dict[str, str]]
) -> None:
    client = make_client(host="0.0.0.0")  # noqa: S104 - nothing is bound
    headers = key(Scope.SEARCH)
    place = submit_photo(client, "search", headers=headers).headers["Location"]
    with database.write() as session:
        cancelling.cancel(session, UUID(place.rpartition("/")[2]), datetime.now(UTC))
    with client.stream("GET", f"{place}/events", headers=headers) as response:
        (line,) = (line for line in response.iter_lines() if line.startswith("data:"))
    assert json.loads(line.removeprefix("data:")) == client.get(place, headers=headers).json()
    assert_problem(client.get(f"{place}/events"), 401, "unauthenticated")
    other = client.get(f"/v1/searches/{uuid4()}/events", headers=headers)
    assert_problem(other, 404, "not_found")
