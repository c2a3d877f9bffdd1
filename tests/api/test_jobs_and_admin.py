"""Jobs, admin calls, and who may make them."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from db.consumption import RELAY, clear_consumption, record_consumption
from db.jobs import reading
from db.session import Database
from models.domain.clock import utc_now
from models.domain.types import JobStatus, Scope
from tests.support.http import UNKNOWN_ID, MakeClient, assert_problem, submit_photo
from workers.queue.messages import Queue

Key = Callable[..., dict[str, str]]


@pytest.mark.parametrize("name", [UNKNOWN_ID, "no-id"])
def test_unknown_job(client: TestClient, name: str) -> None:
    assert_problem(client.get(f"/v1/jobs/{name}"), 404, "not_found")
    assert_problem(client.post(f"/v1/jobs/{name}:cancel"), 404, "not_found")
    assert_problem(client.post(f"/v1/jobs/{name}:retry"), 404, "not_found")


def test_cancel_and_retry(client: TestClient) -> None:
    job_id = submit_photo(client, "search").json()["id"]
    assert_problem(client.post(f"/v1/jobs/{job_id}:retry"), 409, "conflict")
    assert client.post(f"/v1/jobs/{job_id}:cancel").json()["status"] == "cancelled"
    assert client.post(f"/v1/jobs/{job_id}:retry").json()["status"] == "queued"
    assert client.get("/v1/jobs").json()["items"][0]["id"] == job_id


def test_reindex_needs_an_admin_key_and_runs_once(client: TestClient, key: Key) -> None:
    assert_problem(client.post("/v1/admin/reindex"), 401, "unauthenticated")
    wrong = {"Authorization": "Bearer mk_wrong"}
    assert_problem(client.post("/v1/admin/reindex", headers=wrong), 401, "unauthenticated")
    writer = key(Scope.WRITE)
    assert_problem(client.post("/v1/admin/reindex", headers=writer), 403, "forbidden")
    admin = key(Scope.ADMIN)
    first = client.post("/v1/admin/reindex", headers=admin)
    assert first.status_code == 202
    assert_problem(client.post("/v1/admin/reindex", headers=admin), 409, "reindex_running")
    cancel = f"{first.headers['location']}:cancel"
    assert_problem(client.post(cancel), 401, "unauthenticated")
    assert client.post(cancel, headers=admin).json()["status"] == "cancelled"
    assert client.post("/v1/admin/reindex", headers=admin).status_code == 202


def test_generations(client: TestClient, key: Key) -> None:
    admin = key(Scope.ADMIN)
    assert_problem(client.get("/v1/admin/generations"), 401, "unauthenticated")
    assert client.get("/v1/admin/generations", headers=admin).json() == []
    missing = client.post("/v1/admin/generations/7:activate", headers=admin)
    assert_problem(missing, 404, "not_found")
    absurd = client.post(f"/v1/admin/generations/{'9' * 23}:activate", headers=admin)
    assert_problem(absurd, 422, "invalid_input")


def test_off_loopback_every_call_needs_a_key_with_its_scope(
    make_client: MakeClient, key: Key
) -> None:
    client = make_client(host="192.0.2.1")
    assert client.get("/healthz").status_code == 200
    assert_problem(submit_photo(client, "search"), 401, "unauthenticated")
    assert_problem(client.get("/v1/jobs"), 401, "unauthenticated")
    searcher = key(Scope.SEARCH)
    accepted = submit_photo(client, "search", headers=searcher)
    assert accepted.status_code == 202
    assert client.get(accepted.headers["location"], headers=searcher).status_code == 200
    assert_problem(client.get("/v1/jobs", headers=searcher), 403, "forbidden")
    assert client.get("/v1/jobs", headers=key(Scope.ADMIN)).status_code == 200


def test_without_broker_and_workers_it_is_alive_and_not_ready(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "not ready"
    checks = response.json()["checks"]
    assert checks == {
        "database": True,
        "broker": False,
        "search_worker": False,
        "embed_worker": False,
        "index_worker": False,
        "relay": False,
    }


def test_it_is_ready_where_a_search_is_done_and_degraded_without_the_others(
    make_client: MakeClient, redis_url: str, database: Database
) -> None:
    client = make_client(redis_url=redis_url)

    def consume(*names: str) -> None:
        with database.write() as session:
            for name in names:
                record_consumption(session, name, utc_now(), None)

    consume(Queue.EMBED, Queue.INDEX, RELAY)
    assert client.get("/readyz").status_code == 503
    with database.write() as session:
        clear_consumption(session)
    consume(Queue.SEARCH, Queue.INDEX, RELAY)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    missing = [name for name, is_there in response.json()["checks"].items() if not is_there]
    assert missing == ["embed_worker"]
    consume(Queue.EMBED)
    assert client.get("/readyz").json()["status"] == "ready"


def test_database_away_is_503_and_no_phantom_202(make_client: MakeClient) -> None:
    client = make_client(database_url="postgresql://x@127.0.0.1:9/x")
    response = submit_photo(client, "search")
    assert_problem(response, 503, "unavailable")
    assert response.headers["retry-after"]
    assert client.get("/readyz").json()["checks"]["database"] is False


def test_other_errors_are_problems_too(client: TestClient) -> None:
    assert_problem(client.get("/nowhere"), 404, "not_found")
    assert_problem(client.put("/v1/searches"), 405, "method_not_allowed")
    assert_problem(client.get("/v1/jobs?limit=0"), 422, "invalid_input")


def test_openapi_describes_calls_and_problems(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert "Problem" in schema["components"]["schemas"]
    paths = schema["paths"]
    search = paths["/v1/searches"]["post"]
    bodies = {"multipart/form-data", "application/json", "image/*"}
    assert set(search["requestBody"]["content"]) == bodies
    assert "application/problem+json" in search["responses"]["422"]["content"]
    assert "/v1/listings:batch" in paths
    assert "/v1/jobs/{job_id}:cancel" in paths


def test_openapi_declares_every_path_parameter(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            stated = operation.get("parameters", [])
            declared = {item["name"] for item in stated if item["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path)), path


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
def test_foreign_pages_can_not_call_the_api_without_keys(
    client: TestClient, headers: dict[str, str]
) -> None:
    assert_problem(submit_photo(client, "search", headers=headers), 403, "forbidden")
    assert_problem(client.get("/v1/jobs", headers=headers), 403, "forbidden")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_own_pages_can(client: TestClient, host: str) -> None:
    own = {"Host": host, "Origin": f"http://{host}"}
    assert submit_photo(client, "search", headers=own).status_code == 202


def test_behind_keys_any_host_may_be_named(make_client: MakeClient, key: Key) -> None:
    client = make_client(host="192.0.2.1")
    named = {**key(Scope.SEARCH), "Host": "market.example", "Origin": "https://shop.example"}
    assert submit_photo(client, "search", headers=named).status_code == 202


def test_page_is_served_with_a_strict_policy(client: TestClient) -> None:
    for path in ("/", "/static/index.html", "/healthz"):
        page = client.get(path)
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_result_that_another_release_stored_is_an_error_and_hides_no_other_job(
    client: TestClient, database: Database
) -> None:
    readable, unreadable = (submit_photo(client, "search").json()["id"] for _ in range(2))
    with database.write() as session:
        job = reading.get(session, UUID(unreadable))
        job.status, job.result = JobStatus.SUCCEEDED, {"found": "in a form of the future"}
    shown = client.get(f"/v1/jobs/{unreadable}").json()
    assert (shown["status"], shown["result"]) == ("succeeded", None)
    assert shown["error"]["code"] == "unreadable_record"
    listed = client.get("/v1/jobs").json()["items"]
    assert {job["id"] for job in listed} == {readable, unreadable}
