"""Submitting, reading and cancelling searches."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from api.photos import decoders
from db.jobs import accepting, reading
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.job_payloads import EmbedPayload, SearchPayload
from models.domain.types import JobStatus
from models.photo_decoding import Admit, StandardPhoto, standardise
from tests.support.clock import Clock
from tests.support.http import UNKNOWN_ID, MakeClient, assert_problem, submit_photo
from tests.support.payloads import payload_as
from tests.support.pictures import jpeg


def test_accepted_means_stored_though_no_broker_answers(
    client: TestClient, database: Database, store: PhotoStore
) -> None:
    response = submit_photo(client, "search")
    assert response.status_code == 202
    assert response.headers["retry-after"] == "1"
    job = response.json()
    assert response.headers["location"] == f"/v1/searches/{job['id']}"
    assert (job["type"], job["status"], job["attempt"]) == ("search", "queued", 0)
    with database.read() as session:
        stored = reading.recent(session, 10, None)
    assert [str(item.id) for item in stored] == [job["id"]]
    assert store.get(str(payload_as(stored[0], SearchPayload).positive[0])).startswith(b"\xff\xd8")
    assert client.get(response.headers["location"]).json() == job


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"this is text, whatever its name says", 415, "unsupported_photo"),
        (b"II*\0" + bytes(100), 415, "unsupported_photo"),
        (b"GIF89a" + bytes(100), 422, "invalid_photo"),
        (jpeg(1)[:500], 422, "invalid_photo"),
        (b"\xff\xd8\xff\xe0" + bytes(1000), 422, "invalid_photo"),
    ],
)
def test_bad_photos(
    client: TestClient, database: Database, data: bytes, status: int, code: str
) -> None:
    assert_problem(submit_photo(client, "search", data), status, code)
    with database.read() as session:
        assert reading.recent(session, 10, None) == []


def test_an_empty_file_is_a_bad_photo(client: TestClient) -> None:
    response = client.post("/v1/searches", files={"photo": ("photo.jpg", b"", "image/jpeg")})
    assert response.status_code in {415, 422}


@pytest.mark.parametrize("limit", ["0", "101", "1e9", "-1", "NaN", "ten", "9" * 5_000])
def test_bad_limits(client: TestClient, limit: str) -> None:
    assert_problem(submit_photo(client, "search", data={"limit": limit}), 422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"listing_id": "no"}',
        f'{{"listing_id": "{UNKNOWN_ID}", "limit": 101}}',
        f'{{"listing_id": "{UNKNOWN_ID}", "limt": 5}}',
    ],
)
def test_bad_json(client: TestClient, body: str) -> None:
    response = client.post(
        "/v1/searches", content=body, headers={"Content-Type": "application/json"}
    )
    assert_problem(response, 422, "invalid_input")


@pytest.mark.parametrize("body", ["not json", "", "{", "\xff"])
def test_malformed_json(client: TestClient, body: str) -> None:
    response = client.post(
        "/v1/searches", content=body.encode("latin-1"), headers={"Content-Type": "application/json"}
    )
    assert_problem(response, 400, "malformed_body")


def test_other_bodies(client: TestClient) -> None:
    assert_problem(client.post("/v1/searches", content=b"x"), 415, "unsupported_body")
    response = client.post("/v1/searches", files={"picture": ("a.jpg", jpeg(1))})
    assert_problem(response, 422, "invalid_input")


def test_too_many_parts(client: TestClient) -> None:
    files = [("photo", (f"{number}.jpg", b"x")) for number in range(200)]
    assert client.post("/v1/searches", files=files).status_code in {400, 413}


def test_unknown_listing(client: TestClient) -> None:
    response = client.post("/v1/searches", json={"listing_id": str(uuid4())})
    assert_problem(response, 404, "not_found")


@pytest.mark.parametrize("name", [UNKNOWN_ID, "no-id", "%00", "a" * 5000])
def test_unknown_search(client: TestClient, name: str) -> None:
    assert_problem(client.get(f"/v1/searches/{name}"), 404, "not_found")
    assert_problem(client.delete(f"/v1/searches/{name}"), 404, "not_found")


def test_other_jobs_are_no_searches(client: TestClient, database: Database, clock: Clock) -> None:
    with database.write() as session:
        job = accepting.accept(session, EmbedPayload(photo_ids=()), job_id=uuid4(), now=clock())
    assert_problem(client.get(f"/v1/searches/{job.id}"), 404, "not_found")


def test_cancel(client: TestClient, database: Database) -> None:
    place = submit_photo(client, "search").headers["location"]
    assert client.delete(place).json()["status"] == "cancelled"
    assert client.get(place).json()["status"] == "cancelled"
    with database.read() as session:
        assert reading.recent(session, 1, None)[0].status is JobStatus.CANCELLED


def test_prefer_wait_holds_the_answer_and_says_so(client: TestClient) -> None:
    response = submit_photo(client, "search", headers={"Prefer": "respond-async, wait=1"})
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "wait=1"
    assert (
        "preference-applied"
        not in submit_photo(client, "search", headers={"Prefer": "wait=soon"}).headers
    )


def test_body_over_the_limit(make_client: MakeClient) -> None:
    client = make_client(max_upload_bytes=50_000)
    too_large = b"\xff\xd8\xff" + bytes(200_000)
    assert_problem(submit_photo(client, "search", too_large), 413, "too_large")

    def without_length() -> object:
        yield b"--x\r\nContent-Disposition: form-data; name=photo; filename=a\r\n\r\n"
        for _ in range(20):
            yield bytes(10_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = client.post("/v1/searches", content=without_length(), headers=headers)  # type: ignore[arg-type]
    assert_problem(response, 413, "too_large")


def test_photo_a_little_over_the_limit(make_client: MakeClient) -> None:
    client = make_client(max_upload_bytes=1_000)
    assert_problem(submit_photo(client, "search", jpeg(1)), 413, "too_large")


def test_few_photos_are_decoded_at_a_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may need hundreds of megabytes, however many are sent."""
    cores = len(os.sched_getaffinity(0))
    now = peak = 0
    lock = Lock()

    def slow(data: bytes, *, admit: Admit) -> StandardPhoto:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return standardise(data, admit=admit)

    monkeypatch.setattr(decoders, "standardise", slow)
    with ThreadPoolExecutor(cores + 6) as pool:
        answers = list(
            pool.map(lambda _: submit_photo(client, "search").status_code, range(cores + 6))
        )
    assert answers == [202] * (cores + 6)
    assert peak <= cores
