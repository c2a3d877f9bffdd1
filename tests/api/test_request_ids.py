"""The id of a request is taken or made, returned, and stays with the jobs that came of it."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.auth import require_scope
from db.jobs import reading
from db.session import Database
from models.domain.types import Scope
from observability import context
from observability.options import Observing
from tests.support.http import create_listing, send_batch, submit_photo
from tests.support.observing import logged
from tests.support.pictures import jpeg

HEADER = "X-Request-ID"


def request_id_of(database: Database, job_id: str) -> str | None:
    with database.read() as session:
        return reading.get(session, UUID(job_id)).request_id


def test_an_id_is_taken_and_returned(client: TestClient) -> None:
    response = client.get("/healthz", headers={HEADER: "of-a-proxy:7/x=1"})
    assert response.headers.get_list(HEADER) == ["of-a-proxy:7/x=1"]


def test_one_is_made_where_none_is_stated(client: TestClient) -> None:
    first, second = (client.get("/healthz").headers[HEADER] for _ in range(2))
    assert UUID(first) != UUID(second)


@pytest.mark.parametrize("stated", ["x" * 65, "a b", 'a"b', "a\tb", "<script>", "a;b"])
def test_one_that_is_too_long_or_not_clean_is_replaced(client: TestClient, stated: str) -> None:
    made = client.get("/healthz", headers={HEADER: stated}).headers[HEADER]
    assert UUID(made)


@given(st.text())
def test_what_is_taken_is_short_and_printable(stated: str) -> None:
    if context.is_request_id(stated):
        assert 1 <= len(stated) <= context.REQUEST_ID_LENGTH
        assert stated.isascii()
        assert stated.isprintable()
        assert not set(stated) & set(" \"'\\<>{};,")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/nowhere", {}),
        ("POST", "/v1/searches", {"Content-Type": "application/json"}),
        ("GET", "/v1/admin/generations", {}),
        ("GET", "/", {"Host": "x.example"}),
        ("DELETE", "/healthz", {}),
    ],
)
def test_refusals_have_it_too(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = client.request(method, path, headers={HEADER: "mine", **headers})
    assert response.status_code >= 400
    assert response.headers.get_list(HEADER) == ["mine"]


def test_a_defect_has_it_too_and_its_line_in_the_log(make_app: Callable[..., FastAPI]) -> None:
    app = make_app()

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a defect")

    with (
        logged(Observing(log_format="json")) as told,
        TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as client,
    ):
        response = client.get("/broken", headers={HEADER: "mine"})
    assert response.status_code == 500
    assert response.headers.get_list(HEADER) == ["mine"]
    (line,) = [line for line in told.lines if line["level"] == "error"]
    assert line["request_id"] == "mine"
    assert "a defect" in line["exception"]


def test_jobs_of_all_kinds_have_the_id_of_their_request(
    client: TestClient, database: Database
) -> None:
    searched = submit_photo(client, "search", headers={HEADER: "a-search"}).json()
    assert searched["request_id"] == "a-search"
    assert client.get(f"/v1/searches/{searched['id']}").json()["request_id"] == "a-search"
    client.headers[HEADER] = "a-listing"
    embed = create_listing(client).json()["job"]["id"]
    assert request_id_of(database, embed) == "a-listing"
    client.headers[HEADER] = "a-batch"
    rows = "title,category,photos\nRed kettle,Kettles,one\n"
    batch = send_batch(client, rows, "text/csv", one=jpeg(1)).json()
    assert request_id_of(database, batch["id"]) == "a-batch"


def test_jobs_that_share_a_commit_have_each_its_own(client: TestClient, database: Database) -> None:
    logging.getLogger("httpx2").setLevel(logging.WARNING)

    def submitted(number: int) -> tuple[str, str]:
        job = submit_photo(client, "search", headers={HEADER: f"request-{number}"}).json()
        return job["id"], f"request-{number}"

    with ThreadPoolExecutor(8) as pool:
        for job_id, request_id in pool.map(submitted, range(32)):
            assert request_id_of(database, job_id) == request_id


def test_lines_name_the_key_and_not_its_text(
    make_app: Callable[..., FastAPI], key: Callable[..., dict[str, str]]
) -> None:
    app = make_app(host="0.0.0.0")  # noqa: S104 - nothing is bound

    @app.get("/broken", dependencies=[Depends(require_scope(Scope.SEARCH))])
    def broken() -> None:
        raise RuntimeError("a defect")

    headers = key(Scope.SEARCH)
    with (
        logged(Observing(log_format="json", log_level="DEBUG")) as told,
        TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as client,
    ):
        client.get("/broken", headers=headers)
    (line,) = [line for line in told.lines if line["level"] == "error"]
    assert line["key_id"] == 1
    assert headers["Authorization"].removeprefix("Bearer ") not in told.text
