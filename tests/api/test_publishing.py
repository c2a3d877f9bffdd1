"""What is accepted is published at once, to the queue that does it, on a real Redis."""

import json
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from db.jobs.embed import PHOTOS_PER_JOB
from models.domain.types import Scope
from tests.support.http import KETTLE, MakeClient, listing_form, send_batch, submit_photo
from tests.support.pictures import jpeg
from tests.support.redis import empty, take_published
from workers.queue.messages import Queue


@pytest.fixture
def published(make_client: MakeClient, redis_url: str) -> TestClient:
    """A client of an application whose broker answers."""
    empty(redis_url)
    return make_client(redis_url=redis_url)


def test_search(published: TestClient, redis_url: str) -> None:
    job_id = submit_photo(published, "search").json()["id"]
    assert take_published(redis_url, Queue.SEARCH, 1) == [job_id]
    published.post(f"/v1/jobs/{job_id}:cancel").raise_for_status()
    published.post(f"/v1/jobs/{job_id}:retry").raise_for_status()
    assert take_published(redis_url, Queue.SEARCH, 1) == [job_id]


def test_listing(published: TestClient, redis_url: str) -> None:
    job = published.post("/v1/listings", **listing_form(KETTLE, jpeg(1))).json()["job"]
    assert take_published(redis_url, Queue.EMBED, 1) == [job["id"]]


def test_batch_in_chunks(published: TestClient, redis_url: str) -> None:
    photos = PHOTOS_PER_JOB + 1
    rows = [json.dumps({"title": "x", "photos": [f"p{number}"]}) for number in range(photos)]
    files = {f"p{number}": jpeg(number, (40, 40)) for number in range(photos)}
    accepted = send_batch(published, "\n".join(rows), "application/x-ndjson", **files)
    assert accepted.json()["progress"]["total"] == photos
    messages = take_published(redis_url, Queue.EMBED, 2)
    totals = [
        published.get(f"/v1/jobs/{job_id}").json()["progress"]["total"] for job_id in messages
    ]
    assert totals == [PHOTOS_PER_JOB, 1]


def test_reindex(published: TestClient, redis_url: str, key: Callable[..., dict[str, str]]) -> None:
    accepted = published.post("/v1/admin/reindex", headers=key(Scope.ADMIN))
    assert take_published(redis_url, Queue.INDEX, 1) == [accepted.json()["id"]]
