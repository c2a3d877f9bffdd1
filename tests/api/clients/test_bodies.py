"""Media types of bodies: spelt in any way, missing, or of something else than is taken."""

import json
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from db.jobs import reading
from db.session import Database
from models.domain.job_payloads import SearchPayload
from models.photo_decoding import standardise
from tests.support.http import UNKNOWN_ID, MakeClient, assert_problem
from tests.support.payloads import payload_as
from tests.support.pictures import jpeg
from tests.support.raw_http import BOUNDARY, form_of

PHOTO = ('Content-Disposition: form-data; name="photo"; filename="a.jpg"', jpeg(1))
FORMS = ["searches", "embeddings", "predictions"]
QUESTION = json.dumps({"listing_id": UNKNOWN_ID}).encode()


def post(client: TestClient, path: str, body: bytes, kind: str | None) -> Response:
    headers = {} if kind is None else {"Content-Type": kind}
    return client.post(f"/v1/{path}", content=body, headers=headers)


@pytest.mark.parametrize("path", ["searches", "predictions"])
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/vnd.api+json",
        "text/json",
        None,
    ],
)
def test_json_however_it_is_called(client: TestClient, path: str, kind: str | None) -> None:
    for body in (QUESTION, b"\xef\xbb\xbf" + QUESTION, b" \r\n" + QUESTION):
        if kind is not None or not body.startswith(b"\xef"):
            response = post(client, path, body, kind)
            assert_problem(response, 404, "not_found")


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "kind",
    [
        f"Multipart/Form-Data; Boundary={BOUNDARY}",
        f'multipart/form-data; charset=utf-8; boundary="{BOUNDARY}"',
        f"multipart/form-data ;boundary={BOUNDARY};",
    ],
)
def test_a_form_however_it_is_called(client: TestClient, path: str, kind: str) -> None:
    assert post(client, path, form_of(PHOTO), kind).status_code == 202


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "kind", ["image/jpeg", "IMAGE/JPEG", "image/jpg", "image/png; q=1", "application/octet-stream"]
)
def test_a_photo_as_the_body(client: TestClient, database: Database, path: str, kind: str) -> None:
    response = post(client, path, jpeg(1), kind)
    assert response.status_code == 202, response.text
    with database.read() as session:
        payload = reading.get(session, UUID(response.json()["id"])).payload
    assert standardise(jpeg(1)).sha256 in json.dumps(payload)


def test_options_beside_a_photo_as_the_body(client: TestClient, database: Database) -> None:
    filtered = '{"currency": "GBP"}'
    query = {"limit": "3", "filter": filtered, "region": ""}
    headers = {"Content-Type": "image/jpeg"}
    response = client.post("/v1/searches", content=jpeg(1), headers=headers, params=query)
    with database.read() as session:
        payload = payload_as(reading.get(session, UUID(response.json()["id"])), SearchPayload)
    assert payload.filter
    assert (payload.limit, payload.filter.currency) == (3, "GBP")
    for path, query in (("searches", {"limt": "3"}), ("predictions", {"top": "0"})):
        response = client.post(f"/v1/{path}", content=jpeg(1), headers=headers, params=query)
        assert_problem(response, 422, "invalid_input")


@pytest.mark.parametrize("path", FORMS)
def test_a_body_that_is_called_a_photo(client: TestClient, path: str) -> None:
    assert_problem(post(client, path, b"text", "image/jpeg"), 415, "unsupported_photo")
    assert_problem(post(client, path, jpeg(1)[:500], "image/jpeg"), 422, "invalid_photo")
    assert_problem(post(client, path, b"", "image/jpeg"), 422, "invalid_photo")


def test_a_photo_as_the_body_over_the_limit(make_client: MakeClient) -> None:
    client = make_client(max_upload_bytes=1_000)
    for data in (jpeg(1), bytes(200_000)):
        assert_problem(post(client, "searches", data, "image/jpeg"), 413, "too_large")


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("searches", "application/x-www-form-urlencoded", "curl -F"),
        ("searches", "text/plain;charset=UTF-8", "its Content-Type is text/plain"),
        ("searches", "multipart/mixed; boundary=x", "multipart/form-data"),
        ("searches", None, "no Content-Type"),
        ("predictions", "application/xml", "application/json"),
        ("embeddings", "application/json", "a photo's bytes as image/jpeg"),
        ("listings", "text/plain", "multipart/form-data"),
        ("listings", "image/jpeg", "application/json"),
        ("listings", "image/jpeg", "multipart/form-data"),
        ("listings:batch", "text/csv", "multipart/form-data"),
        ("listings:batch", "application/x-ndjson", "multipart/form-data"),
    ],
)
def test_a_body_of_another_type_is_refused_in_words(
    client: TestClient, path: str, kind: str | None, said: str
) -> None:
    response = post(client, path, jpeg(1), kind)
    assert_problem(response, 415, "unsupported_body")
    assert said in response.json()["detail"]


@pytest.mark.parametrize("path", [*FORMS, "listings", "listings:batch"])
def test_a_form_that_can_not_be_read(client: TestClient, path: str) -> None:
    body = form_of(PHOTO)
    without = post(client, path, body, "multipart/form-data")
    assert_problem(without, 400, "malformed_body")
    assert "lacks its boundary" in without.json()["detail"]
    cut = [body[:-4], body[:-5], body[:-10], body[:2_000], body[:30]]
    for broken in (b"", b"x", *cut, form_of(("Content-Type: image/jpeg", jpeg(1)))):
        response = post(client, path, broken, f"multipart/form-data; boundary={BOUNDARY}")
        assert_problem(response, 400, "malformed_body")


def test_what_is_wrong_with_json_is_said(client: TestClient) -> None:
    response = post(client, "searches", b'{"listing_id": 5,}', "application/json")
    assert_problem(response, 400, "malformed_body")
    assert "line 1 column 18" in response.json()["detail"]
    response = post(client, "searches", b'{"limt": 5}', "application/json")
    assert_problem(response, 422, "invalid_input")
    assert "did you mean 'limit'?" in response.json()["detail"]
