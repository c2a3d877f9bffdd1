"""Bodies that cost more than they say: each is refused before that is paid."""

import json
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api import problems
from api.events.schemas import MAX_EVENTS_BYTES, EventsIn
from api.forms import MAX_JSON_BYTES
from api.listings import tables
from api.listings.forms import COLUMNS
from api.listings.tables import MAX_ROW, read_rows
from api.multipart import MAX_FIELD_BYTES
from api.recommendations.schemas import RecommendationIn
from api.searches.schemas import SearchIn
from api.uploads.spool import UploadSpace
from db.jobs import reading
from db.session import Database
from models.domain.errors import InvalidInput
from tests.support.http import assert_problem, submit_photo
from tests.support.pictures import jpeg

JSON = {"Content-Type": "application/json"}
MANY = 200_000


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """What the application stores in; bodies do not depend on its kind."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("searches", MAX_JSON_BYTES),
        ("saved-searches", MAX_JSON_BYTES),
        ("predictions", MAX_JSON_BYTES),
        ("recommendations", MAX_JSON_BYTES),
        ("listings", MAX_FIELD_BYTES),
        ("events", MAX_EVENTS_BYTES),
    ],
)
@pytest.mark.parametrize("headers", [JSON, {}, {**JSON, "Idempotency-Key": "one"}])
def test_json_has_a_size(client: TestClient, path: str, most: int, headers: dict[str, str]) -> None:
    for size, statuses in ((most, {422, 415}), (most + 1, {413, 415})):
        body = b'{"x": "' + b"a" * (size - 9) + b'"}'
        assert len(body) == size
        answer = client.post(f"/v1/{path}", content=body, headers=headers)
        assert answer.status_code in statuses, answer.text


@pytest.mark.parametrize("path", ["searches", "listings/96dee810-9ea2-488d-8d87-dc35290d44c4"])
def test_a_body_of_no_stated_length_has_the_same(client: TestClient, path: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"x": "'
        for _ in range(40):
            yield b"a" * 50_000

    method = "POST" if path == "searches" else "PUT"
    answer = client.request(method, f"/v1/{path}", content=pieces(), headers=JSON)
    assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    ("model", "field", "item"),
    [
        (SearchIn, "positive", '"x"'),
        (SearchIn, "negative", "1"),
        (SearchIn, "facets", "{}"),
        (RecommendationIn, "exclude", '"x"'),
        (EventsIn, "events", "1"),
    ],
)
def test_a_list_ends_at_its_first_error(
    model: type[SearchIn | RecommendationIn | EventsIn], field: str, item: str
) -> None:
    text = f'{{"{field}": [{",".join([item] * MANY)}]}}'
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(text)
    assert refused.value.error_count() <= 3


def test_few_errors_of_a_request_are_told(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "MAX_ERRORS", 2)
    query = "limit=x&external_id=" + "a" * 1_000 + "&feed=" + "b" * 1_000
    answer = client.get(f"/v1/listings?{query}")
    assert_problem(answer, 422, "invalid_input")
    assert len(answer.json()["errors"]) == 2


@pytest.mark.parametrize(
    "table",
    [
        b"[" + b"[]," * MANY + b"[]]",
        b"[" + b"{}," * MANY + b"{}]",
        b"[[" + b"[]," * MANY * 2 + b"[]]]",
        b"[" * MANY,
        b'{"title": "' + b"a" * (MAX_ROW + 1) + b'"}\n',
        b"title,photos\n" + b"," * (MAX_ROW + 1),
        b"title,photos" + b"," * (MAX_ROW + 1) + b"\n",
    ],
    ids=["lists", "objects", "a list of lists", "nested", "a line", "a record", "a header"],
)
def test_a_table_of_nothing(client: TestClient, table: bytes) -> None:
    answer = client.post("/v1/listings:batch", files={"listings": ("rows", table)})
    assert_problem(answer, 422, "invalid_input")
    assert len(answer.text) < 1_000


def test_rows_of_an_array_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"title": "a" * 50}, 1, [2], {"title": 'b"]},{'}, None]
    for short in (5, 20, 60, 1_000):
        monkeypatch.setattr(tables, "MOST_ROWS_SHORT", short)
        for text in (json.dumps(rows), json.dumps(rows, indent=2), " " + json.dumps(rows) + "\n"):
            read = list(read_rows(text.encode(), None, COLUMNS))
            assert [row for row in read if isinstance(row, dict)] == [rows[0], rows[3]]
            assert len(read) == len(rows)


@pytest.mark.parametrize("text", ["[", "[1", "[1,", "[1,]", "[1 2]", "[1]]", "[1] x", "[,]"])
def test_what_is_no_array(text: str) -> None:
    with pytest.raises(InvalidInput, match="not JSON"):
        list(read_rows(text.encode(), None, COLUMNS))


def test_an_empty_array_has_no_rows() -> None:
    assert list(read_rows(b" [ ] ", None, COLUMNS)) == []


def test_a_photo_is_not_named_by_megabytes(client: TestClient) -> None:
    rows = "\n".join(
        json.dumps({"title": "A", "photos": [name]}) for name in ("x" * 900_000, "y" * 3_000, "z")
    )
    answer = client.post("/v1/listings:batch", files={"listings": ("rows", rows.encode())})
    assert answer.status_code == 202
    assert [error["row"] for error in answer.json()["result"]["errors"]] == [1, 2, 3]
    assert len(answer.text) < 2_000


def test_lists_of_jobs_have_neither_payloads_nor_results(
    client: TestClient, database: Database
) -> None:
    rows = "\n".join(json.dumps({"title": "A", "photos": [f"{n}"]}) for n in range(1_000))
    batch = client.post("/v1/listings:batch", files={"listings": ("rows", rows.encode())}).json()
    submit_photo(client, "search")
    listed = client.get("/v1/jobs")
    assert len(listed.text) < 2_000
    assert [job["result"] for job in listed.json()["items"]] == [None, None]
    assert client.get(f"/v1/jobs/{batch['id']}").json()["result"]["rows"] == 1_000
    with database.read() as session:
        job = reading.recent(session, 1, None, with_contents=False)[0]
        assert "payload" not in vars(job)
        assert "result" not in vars(job)


def test_what_a_request_has_sent_is_given_back_when_it_ends(
    make_app: Callable[..., FastAPI],
) -> None:
    app = make_app(max_upload_bytes=5_000_000)
    given = [each.kwargs.get("space") for each in app.user_middleware]
    (space,) = [each for each in given if isinstance(each, UploadSpace)]
    files = {"photo": ("a.jpg", jpeg(1) + bytes(3_000_000))}
    with TestClient(app, "http://127.0.0.1:8000", client=("127.0.0.1", 50_000)) as client:
        for headers in ({}, {"Idempotency-Key": "one"}):
            assert client.post("/v1/searches", files=files, headers=headers).status_code == 202
            assert (space.in_memory, space.in_files) == (0, 0)
        assert client.post("/v1/searches", files={"photo": b"no photo"}).status_code == 415
    assert (space.in_memory, space.in_files) == (0, 0)
