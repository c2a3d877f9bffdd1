"""`Idempotency-Key`: a repeated request makes nothing again, and is answered again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from api.deps import Resources
from api.idempotency import claims
from api.jobs import service as jobs_service
from db.idempotency import Claim, KeyedRequest, claim_key
from db.jobs import accepting, cancelling
from db.saved_searches.tables import SavedSearch
from db.session import Database
from db.tables import IdempotencyKey, Job, Listing
from models.domain.errors import IdempotencyInFlight, Overloaded, Unavailable
from models.domain.types import JobStatus, JobType, Scope
from tests.support.http import KETTLE, MakeClient, assert_problem, listing_form, submit_photo
from tests.support.payloads import some_payload
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until

KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
ROW = '{"title": "Kettle", "photos": ["one"]}'

Send = Callable[..., Response]


def send_listing(client: TestClient, **given: Any) -> Response:
    return client.post("/v1/listings", **listing_form(KETTLE, jpeg(1), jpeg(2)), **given)


def send_rows(client: TestClient, **given: Any) -> Response:
    files = {"listings": ("rows", ROW.encode()), "one": ("one.jpg", jpeg(1))}
    return client.post("/v1/listings:batch", files=files, **given)


def submit(kind: str) -> Send:
    return lambda client, **given: submit_photo(client, kind, **given)


CREATING: dict[str, Send] = {
    "POST /v1/listings": send_listing,
    "POST /v1/listings:batch": send_rows,
    "POST /v1/searches": submit("search"),
    "POST /v1/embeddings": submit("embedding"),
    "POST /v1/predictions": submit("prediction"),
    "POST /v1/recommendations": lambda client, **given: client.post(
        "/v1/recommendations", json={"user": "somebody"}, **given
    ),
    "POST /v1/admin/reindex": lambda client, **given: client.post("/v1/admin/reindex", **given),
    "POST /v1/admin/duplicates": lambda client, **given: client.post(
        "/v1/admin/duplicates", **given
    ),
}


def resources_of(client: TestClient) -> Resources:
    app: Any = client.app
    resources: Resources = app.state.resources
    return resources


def count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def made(database: Database) -> tuple[int, int]:
    """How many jobs and listings there are."""
    return count(database, Job), count(database, Listing)


def test_every_call_that_creates_takes_a_key_and_says_so(client: TestClient) -> None:
    document = client.get("/openapi.json").json()["paths"]
    taking = set()
    for path, calls in document.items():
        for method, call in calls.items():
            for parameter in call.get("parameters", []):
                if parameter["name"] == "idempotency-key":
                    assert parameter["in"] == "header"
                    assert not parameter["required"]
                    assert {"400", "409", "422"} <= call["responses"].keys()
                    (made,) = {"201", "202"} & call["responses"].keys()
                    assert "Idempotency-Replayed" in call["responses"][made]["headers"]
                    taking.add(f"{method.upper()} {path}")
    assert taking == CREATING.keys() | {"POST /v1/saved-searches"}
    # What is not in the list has no key for a reason: events have ids of their own, the others
    # change what is there.
    others = {f"POST {path}" for path, calls in document.items() if "post" in calls} - taking
    others.remove("POST /v1/events")
    assert all(path.rpartition(":")[2] in {"cancel", "retry", "activate"} for path in others)


def test_a_search_is_saved_once_and_its_secret_told_again(
    client: TestClient, database: Database
) -> None:
    def save(name: str) -> Response:
        files = [("photo", ("one.jpg", jpeg(1)))]
        data = {"name": name, "webhook": '{"url": "https://93.184.215.14/hook"}'}
        return client.post("/v1/saved-searches", files=files, data=data, headers=KEY)

    first = save("Kettles")
    assert first.status_code == 201, first.text
    again = save("Kettles")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.json()["webhook"]["secret"].startswith("whsec_")
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert count(database, SavedSearch) == 1
    assert_problem(save("Pans"), 422, "idempotency_key_reused")


@pytest.mark.parametrize("call", CREATING)
def test_a_repeated_request_is_answered_again_and_makes_nothing(
    client: TestClient, database: Database, key: Callable[..., dict[str, str]], call: str
) -> None:
    headers = {**KEY, **key(Scope.ADMIN)}
    first = CREATING[call](client, headers=headers)
    assert first.status_code == 202
    assert "idempotency-replayed" not in first.headers
    before = made(database)
    for _ in range(2):
        again = CREATING[call](client, headers=headers)
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        for name in ("location", "retry-after", "content-type"):
            assert again.headers.get(name) == first.headers.get(name)
        assert made(database) == before
    # Without a key, or with another, it is another request.
    if call != "POST /v1/admin/reindex":
        CREATING[call](client, headers=key(Scope.ADMIN))
        CREATING[call](client, headers={**headers, "Idempotency-Key": "other"})
        assert made(database)[0] > before[0] + 1


def test_a_key_is_the_same_with_quotes_and_without(client: TestClient, database: Database) -> None:
    first = send_listing(client, headers={"Idempotency-Key": r'"a \"key\" \\"'})
    again = send_listing(client, headers={"Idempotency-Key": r'  a "key" \  '})
    assert again.json() == first.json()
    assert made(database) == (1, 1)


@pytest.mark.parametrize(
    "stated",
    ["", '"', '""', '"a', '"a" b', '"a\\b"', "a\tb", "b\xe9b".encode("latin-1"), "k" * 256],
)
def test_what_is_no_key_is_refused(
    client: TestClient, database: Database, stated: str | bytes
) -> None:
    raw = stated if isinstance(stated, bytes) else stated.encode()
    refused = send_listing(client, headers=[(b"Idempotency-Key", raw)])
    assert_problem(refused, 400, "malformed_idempotency_key")
    assert made(database) == (0, 0)


def test_several_keys_are_refused(client: TestClient) -> None:
    headers = [(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"a")]
    assert_problem(send_listing(client, headers=headers), 400, "malformed_idempotency_key")


def test_the_key_of_another_request_is_refused(client: TestClient, database: Database) -> None:
    first = send_listing(client, headers=KEY)
    others: list[Send] = [
        lambda client, **given: client.post(
            "/v1/listings", **listing_form({**KETTLE, "price": "13"}, jpeg(1), jpeg(2)), **given
        ),
        lambda client, **given: client.post(
            "/v1/listings", **listing_form(KETTLE, jpeg(2), jpeg(1)), **given
        ),
        lambda client, **given: client.post(
            "/v1/listings?a=b", **listing_form(KETTLE, jpeg(1), jpeg(2)), **given
        ),
        submit("search"),
        lambda client, **given: client.post("/v1/listings", json=KETTLE, **given),
    ]
    for other in others:
        assert_problem(other(client, headers=KEY), 422, "idempotency_key_reused")
    assert made(database) == (1, 1)
    assert send_listing(client, headers=KEY).json() == first.json()


def form(boundary: str, *parts: tuple[str, str, bytes]) -> dict[str, Any]:
    """A form with this boundary, as arguments of a request."""
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, file, content in parts
    )
    content_type = f"multipart/form-data; boundary={boundary}"
    return {
        "content": body + f"--{boundary}--\r\n".encode(),
        "headers": {**KEY, "Content-Type": content_type},
    }


def test_a_form_is_the_same_whatever_its_boundary(client: TestClient, database: Database) -> None:
    parts = [("photo", '; filename="a.jpg"', jpeg(1)), ("limit", "", b"5")]
    first = client.post("/v1/searches", **form("one", *parts))
    assert first.status_code == 202
    assert client.post("/v1/searches", **form("two", *parts)).json()["id"] == first.json()["id"]
    parts[1] = ("limit", "", b"6")
    refused = client.post("/v1/searches", **form("two", *parts))
    assert_problem(refused, 422, "idempotency_key_reused")
    assert made(database) == (1, 0)


def test_while_the_first_is_in_flight_others_are_refused(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[Response] = []
    accept = accepting.accept

    def in_between(*given: Any, **named: Any) -> Job:
        if not during:
            during.append(send_listing(client, headers=KEY))
        return accept(*given, **named)

    # Between the claim and the commit; on SQLite nobody else can write meanwhile, nor need they.
    monkeypatch.setattr(accepting, "accept", in_between)
    first = send_listing(client, headers=KEY)
    assert_problem(during[0], 409, "idempotency_in_flight")
    assert int(during[0].headers["retry-after"]) >= 1
    assert first.status_code == 202
    assert send_listing(client, headers=KEY).json() == first.json()
    assert made(database) == (1, 1)


def test_equal_keys_of_two_callers_do_not_meet(
    make_client: MakeClient, database: Database, key: Callable[..., dict[str, str]]
) -> None:
    client = make_client(host="192.0.2.1")
    one, two = key(Scope.WRITE), key(Scope.WRITE)
    ids = {send_listing(client, headers={**KEY, **who}).json()["listing_id"] for who in (one, two)}
    assert len(ids) == 2
    again = send_listing(client, headers={**KEY, **one}).json()["listing_id"]
    assert again in ids
    assert made(database) == (2, 2)


def test_who_may_not_call_claims_no_key(
    make_client: MakeClient, database: Database, key: Callable[..., dict[str, str]]
) -> None:
    client = make_client(host="192.0.2.1")
    assert_problem(send_listing(client, headers=KEY), 401, "unauthenticated")
    refused = send_listing(client, headers={**KEY, **key(Scope.SEARCH)})
    assert_problem(refused, 403, "forbidden")
    assert count(database, IdempotencyKey) == 0


@pytest.mark.parametrize(
    ("photo", "status"), [(b"no photo at all", 415), (jpeg(1)[:200], 422), (b"", 422)]
)
def test_an_error_that_made_nothing_leaves_the_key_free(
    client: TestClient, database: Database, photo: bytes, status: int
) -> None:
    files = {"photo": ("photo.jpg", photo)}
    assert client.post("/v1/searches", files=files, headers=KEY).status_code == status
    assert count(database, IdempotencyKey) == 0
    assert submit_photo(client, "search", headers=KEY).status_code == 202


def test_a_form_that_can_not_be_read_leaves_the_key_free(client: TestClient) -> None:
    broken = form("one", ("photo", "", jpeg(1)))
    broken["content"] = broken["content"][:-10]
    assert_problem(client.post("/v1/searches", **broken), 400, "malformed_body")
    assert submit_photo(client, "search", headers=KEY).status_code == 202


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("Away."), 503), (Overloaded("Full.", retry_after_s=3), 429)]
)
def test_a_retry_after_it_was_refused_works(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def refuse(*_: object, **__: object) -> Job:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(accepting, "accept", refuse)
        refused = submit_photo(client, "search", headers=KEY)
        assert refused.status_code == status
        assert refused.headers["retry-after"]
    accepted = submit_photo(client, "search", headers=KEY)
    assert accepted.status_code == 202
    assert "idempotency-replayed" not in accepted.headers


def test_a_reindex_that_was_refused_leaves_the_key_free(
    client: TestClient, database: Database, key: Callable[..., dict[str, str]]
) -> None:
    admin = key(Scope.ADMIN)
    running = client.post("/v1/admin/reindex", headers={**KEY, **admin}).json()
    other = {**admin, "Idempotency-Key": "other"}
    assert_problem(client.post("/v1/admin/reindex", headers=other), 409, "reindex_running")
    client.post(f"/v1/jobs/{running['id']}:cancel", headers=admin)
    assert client.post("/v1/admin/reindex", headers=other).status_code == 202
    # The first is still answered by what it has made.
    again = client.post("/v1/admin/reindex", headers={**KEY, **admin}).json()
    assert (again["id"], again["status"]) == (running["id"], "cancelled")
    assert made(database)[0] == 2


def test_an_error_after_it_was_stored_does_not_free_the_key(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Unavailable("Away.")

    with monkeypatch.context() as patched:
        patched.setattr("api.embeddings.routes.awaited_job", refuse)
        assert_problem(submit_photo(client, "embedding", headers=KEY), 503, "unavailable")
    again = submit_photo(client, "embedding", headers=KEY)
    assert again.status_code == 202
    assert again.headers["idempotency-replayed"] == "true"
    assert made(database) == (1, 0)


@pytest.mark.parametrize("prefer", [None, "wait=5"])
def test_a_query_is_shown_as_it_is_now(
    client: TestClient, database: Database, prefer: str | None
) -> None:
    headers = {**KEY, "Prefer": prefer} if prefer else KEY
    first = submit_photo(client, "search", headers=KEY)
    with database.write() as session:
        cancelling.cancel(session, UUID(first.json()["id"]), datetime.now(UTC))
    again = submit_photo(client, "search", headers=headers)
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["status"] == JobStatus.CANCELLED
    assert again.headers.get("preference-applied") == prefer
    assert "retry-after" not in again.headers


def test_after_a_day_it_is_a_new_request(client: TestClient, database: Database) -> None:
    first = send_listing(client, headers=KEY)
    now = datetime.now(UTC)
    with database.read() as session:
        kept = session.scalars(select(IdempotencyKey.expires_at)).one() - now
    assert timedelta(hours=23, minutes=50) < kept <= timedelta(hours=24)
    with database.write() as session:
        session.execute(update(IdempotencyKey).values(expires_at=now))
    assert send_listing(client, headers=KEY).json()["listing_id"] != first.json()["listing_id"]
    assert made(database) == (2, 2)


@pytest.mark.parametrize(
    "call", ["POST /v1/listings", "POST /v1/listings:batch", "POST /v1/searches"]
)
def test_who_has_lost_the_key_makes_nothing(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """As a process that was suspended for longer than the lease."""
    answer_or_claim = claims.answer_or_claim

    def late(resources: Any, request: KeyedRequest) -> Any:
        claim = answer_or_claim(resources, request)
        with database.write() as session:
            session.execute(update(IdempotencyKey).values(expires_at=datetime.now(UTC)))
            assert claim_key(session, request, uuid4(), datetime.now(UTC))
        return claim

    monkeypatch.setattr("api.idempotency.dependency.answer_or_claim", late)
    assert_problem(CREATING[call](client, headers=KEY), 409, "idempotency_in_flight")
    assert made(database) == (0, 0)
    assert count(database, IdempotencyKey) == 1


def test_who_has_lost_the_key_makes_nothing_among_others(
    client: TestClient, database: Database
) -> None:
    """Jobs that come at the same moment share a transaction: it commits without this one's."""
    resources = resources_of(client)
    lost = replace(resources, claim=Claim("", "k", uuid4()))
    payload = some_payload(JobType.SEARCH)
    go_on, begun = Event(), Event()

    def held(session: Session) -> Job:
        begun.set()
        assert go_on.wait(20)
        return accepting.accept(session, payload, job_id=uuid4(), now=resources.now())

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(resources.accepted.write, held)
        assert begun.wait(20)
        refused, other = (
            threads.submit(jobs_service.accept_and_publish, given, payload)
            for given in (lost, resources)
        )
        wait_until(lambda: len(resources.accepted._waiting) == 2, 20)
        go_on.set()
        assert isinstance(refused.exception(20), IdempotencyInFlight)
        kept = {first.result(20).id, other.result(20).id}
    with database.read() as session:
        assert set(session.scalars(select(Job.id))) == kept


def test_a_long_request_keeps_its_key(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RENEW_EVERY_S", 0.02)
    accept = jobs_service.accept_and_publish

    def expires_at() -> datetime:
        with database.read() as session:
            return session.scalars(select(IdempotencyKey.expires_at)).one()

    def slow(*given: Any, **named: Any) -> Job:
        before = expires_at()
        wait_until(lambda: expires_at() > before, 20)
        return accept(*given, **named)

    monkeypatch.setattr("api.embeddings.service.accept_and_publish", slow)
    assert submit_photo(client, "embedding", headers=KEY).status_code == 202


def test_without_a_key_nothing_is_asked_of_the_database(
    client: TestClient, database: Database
) -> None:
    for send in (send_listing, send_rows, submit("search")):
        assert send(client).status_code == 202
    assert count(database, IdempotencyKey) == 0
