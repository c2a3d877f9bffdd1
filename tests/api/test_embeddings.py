"""Submitting, reading and cancelling embeddings, and what every question about a photo shares."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from fastapi.testclient import TestClient

from db.jobs import reading
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.job_payloads import EmbeddingPayload, PredictionPayload, parse_payload
from models.domain.types import Scope
from models.photo_decoding import decode, standardise
from tests.support.answering import Answerer
from tests.support.http import UNKNOWN_ID, MakeClient, assert_problem, shape, submit_photo
from tests.support.pictures import jpeg
from tests.support.redis import empty, take_published
from workers.queue.messages import Queue

KINDS = ["embedding", "prediction"]


@pytest.fixture
def answerer(database: Database, store: PhotoStore, tmp_path: Path) -> Answerer:
    """A worker on the application's own database and store."""
    return Answerer(database, store, tmp_path / "generations")


@pytest.mark.parametrize("kind", KINDS)
def test_accepted_means_stored_though_no_broker_answers(
    client: TestClient, database: Database, store: PhotoStore, kind: str
) -> None:
    response = submit_photo(client, kind)
    assert response.status_code == 202
    assert response.headers["retry-after"] == "1"
    job = response.json()
    assert response.headers["location"] == f"/v1/{kind}s/{job['id']}"
    assert (job["type"], job["status"], job["progress"]["total"]) == (kind, "queued", 1)
    with database.read() as session:
        (stored,) = reading.recent(session, 10, None)
    assert str(stored.id) == job["id"]
    payload = parse_payload(stored.type, stored.payload)
    assert isinstance(payload, EmbeddingPayload | PredictionPayload)
    assert payload.photo is not None
    assert store.get(payload.photo) == standardise(jpeg(1)).data
    read = client.get(response.headers["location"])
    assert read.json() == job
    assert read.headers["retry-after"] == "1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"this is text, whatever its name says", 415, "unsupported_photo"),
        (jpeg(1)[:500], 422, "invalid_photo"),
    ],
)
def test_bad_photos(
    client: TestClient, database: Database, kind: str, data: bytes, status: int, code: str
) -> None:
    assert_problem(submit_photo(client, kind, data), status, code)
    with database.read() as session:
        assert reading.recent(session, 10, None) == []


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_without_a_photo(client: TestClient, kind: str) -> None:
    place = f"/v1/{kind}s"
    assert_problem(client.post(place, content=b"x"), 415, "unsupported_body")
    response = client.post(place, files={"picture": ("a.jpg", jpeg(1))})
    assert_problem(response, 422, "invalid_input")
    files = [("photo", (f"{number}.jpg", b"x")) for number in range(200)]
    assert client.post(place, files=files).status_code in {400, 413}


def test_a_listing_has_no_embedding_of_its_own(client: TestClient) -> None:
    response = client.post("/v1/embeddings", json={"listing_id": str(uuid4())})
    assert_problem(response, 415, "unsupported_body")


@pytest.mark.parametrize("kind", KINDS)
def test_photo_over_the_limit(make_client: MakeClient, kind: str) -> None:
    client = make_client(max_upload_bytes=1_000)
    assert_problem(submit_photo(client, kind), 413, "too_large")
    assert_problem(submit_photo(client, kind, bytes(200_000)), 413, "too_large")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_read_at_its_own_place(client: TestClient, kind: str) -> None:
    accepted = submit_photo(client, kind).json()
    for other in {"embedding", "prediction", "search"} - {kind}:
        place = f"/v1/{other}{'es' if other == 'search' else 's'}/{accepted['id']}"
        assert_problem(client.get(place), 404, "not_found")
        assert_problem(client.delete(place), 404, "not_found")
    assert client.get(f"/v1/jobs/{accepted['id']}").json() == accepted
    assert client.get("/v1/jobs").json()["items"] == [accepted]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [UNKNOWN_ID, "no-id", "%00"])
def test_unknown(client: TestClient, kind: str, name: str) -> None:
    assert_problem(client.get(f"/v1/{kind}s/{name}"), 404, "not_found")
    assert_problem(client.delete(f"/v1/{kind}s/{name}"), 404, "not_found")


@pytest.mark.parametrize("kind", KINDS)
def test_cancel_and_retry(client: TestClient, kind: str) -> None:
    place = submit_photo(client, kind).headers["location"]
    cancelled = client.delete(place).json()
    assert cancelled["status"] == "cancelled"
    assert client.get(place).json() == cancelled
    retried = client.post(f"/v1/jobs/{cancelled['id']}:retry")
    assert (retried.json()["type"], retried.json()["status"]) == (kind, "queued")


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_key_that_may_search_may_ask(
    make_client: MakeClient, key: Callable[..., dict[str, str]], kind: str
) -> None:
    client = make_client(host="192.0.2.1")
    assert_problem(submit_photo(client, kind), 401, "unauthenticated")
    assert_problem(submit_photo(client, kind, headers=key(Scope.WRITE)), 403, "forbidden")
    place = submit_photo(client, kind, headers=key(Scope.SEARCH)).headers["location"]
    assert_problem(client.get(place), 401, "unauthenticated")
    assert client.get(place, headers=key(Scope.SEARCH)).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_to_the_search_workers(make_client: MakeClient, redis_url: str, kind: str) -> None:
    empty(redis_url)
    job_id = submit_photo(make_client(redis_url=redis_url), kind).json()["id"]
    assert take_published(redis_url, Queue.SEARCH, 1) == [job_id]


def test_who_waits_gets_the_vector(client: TestClient, answerer: Answerer) -> None:
    with answerer.at_work():
        response = submit_photo(client, "embedding", headers={"Prefer": "wait=30"})
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "wait=30"
    assert "retry-after" not in response.headers
    job = response.json()
    assert (job["status"], job["progress"]["done"]) == ("succeeded", 1)
    (expected,) = answerer.encoder.embed([decode(standardise(jpeg(1)).data)])
    assert job["result"]["embedding"] == pytest.approx(expected.tolist(), abs=1e-6)
    assert np.linalg.norm(job["result"]["embedding"]) == pytest.approx(1, abs=1e-4)
    assert client.get(response.headers["location"]).json() == job
    assert client.delete(response.headers["location"]).json() == job


def test_the_reference_shows_a_true_example(client: TestClient, answerer: Answerer) -> None:
    place = submit_photo(client, "embedding").headers["location"]
    answerer.answer()
    real = client.get(place).json()
    paths = client.get("/openapi.json").json()["paths"]
    for call in (paths["/v1/embeddings"]["post"], paths["/v1/embeddings/{job_id}"]["get"]):
        example = call["responses"]["200"]["content"]["application/json"]["example"]
        assert shape({**example, "error": None, "expected_wait_s": None}) == shape(
            real
        )  # OpenAPI leaves nulls out
        assert len(example["result"]["embedding"]) == example["result"]["dimension"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_names_the_errors(client: TestClient, kind: str) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    stated = paths[f"/v1/{kind}s"]["post"]["responses"]
    assert {"200", "202", "400", "401", "403", "413", "415", "422", "503"} <= stated.keys()


def test_every_error_in_the_reference_is_a_problem(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    for path, calls in schema["paths"].items():
        for call in calls.values():
            for status, response in call["responses"].items():
                if status >= "400" and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], path
    assert "HTTPValidationError" not in json.dumps(schema)
