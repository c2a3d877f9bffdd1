"""Every status code of the HTTP contract, from running servers: one row each.

The servers have no broker. Of what has no 4xx or 5xx the last row speaks: accepted means stored.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any, Final
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import null, update

from db.access.keys import create_key
from db.jobs import accepting, cancelling
from db.session import Database
from db.tables import IdempotencyKey
from db.vectors.encoders import activate_encoder, register_encoder
from models.domain.clock import utc_now
from models.domain.cursors import Cursor
from models.domain.types import EncoderSpec, JobType, ListingMatch, Scope
from settings import Settings
from tests.support.api_process import api_processes
from tests.support.http import KETTLE, UNKNOWN_ID, listing_form
from tests.support.machine import TIMEOUT_S
from tests.support.payloads import some_payload
from tests.support.pictures import jpeg
from tests.support.ports import free_port

pytestmark = pytest.mark.e2e

LARGEST_PHOTO: Final = 50_000
WAITING: Final = 100


@dataclass(frozen=True)
class Site:
    """Running APIs, their database, and clients of them."""

    database: Database
    admin: httpx2.Client
    """Of the API that asks for a key, with one that may do all."""
    searcher: httpx2.Client
    """The same, with a key that may only search."""
    stranger: httpx2.Client
    """The same, without a key."""
    impatient: httpx2.Client
    """Of one whose searches may wait for a second."""
    cut_off: httpx2.Client
    """Of one whose database can't be reached."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    here = Settings(data_dir=folder, redis_url=f"redis+socket://{folder}/nobody.sock")
    public = here.model_copy(
        update={
            "host": "0.0.0.0",  # noqa: S104 - with keys
            "max_upload_bytes": LARGEST_PHOTO,
            # Only the other is impatient.
            "max_wait_seconds": 100_000,
        }
    )
    impatient = here.model_copy(update={"max_wait_seconds": 1})
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    cut_off = here.model_copy(update={"database_url": nowhere})
    database = Database(public.sqlalchemy_url)
    with database.write() as session:
        keys = [
            create_key(session, "k", [scope], utc_now()) for scope in (Scope.ADMIN, Scope.SEARCH)
        ]
    headers = [*({"Authorization": f"Bearer {key}"} for key in keys), {}, {}, {}]
    with api_processes(public, impatient, cut_off) as apis, ExitStack() as stack:
        urls = [apis[0].url] * 3 + [apis[1].url, apis[2].url]
        yield Site(
            database,
            *(
                stack.enter_context(httpx2.Client(base_url=url, headers=sent, timeout=TIMEOUT_S))
                for url, sent in zip(urls, headers, strict=True)
            ),
        )
    database.close()


def search(client: httpx2.Client, photo: bytes = b"", **given: Any) -> httpx2.Response:
    files = {"photo": ("photo.jpg", photo or jpeg(1))}
    return client.post("/v1/searches", files=files, **given)


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def while_in_flight(site: Site) -> httpx2.Response:
    form = listing_form(KETTLE, jpeg(1))
    site.admin.post("/v1/listings", headers=keyed("slow"), **form).raise_for_status()
    # As it is before the first has committed.
    with site.database.write() as session:
        session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.key == "slow")
            .values(status=null(), expires_at=utc_now() + timedelta(days=1))
        )
    return site.admin.post("/v1/listings", headers=keyed("slow"), **form)


def with_another_body(site: Site) -> httpx2.Response:
    search(site.admin, headers=keyed("used")).raise_for_status()
    return search(site.admin, jpeg(2), headers=keyed("used"))


def while_one_runs(site: Site) -> httpx2.Response:
    site.admin.post("/v1/admin/reindex")
    return site.admin.post("/v1/admin/reindex")


def of_another_encoder(site: Site) -> httpx2.Response:
    search_id = search(site.admin).json()["id"]
    with site.database.write() as session:
        spec = EncoderSpec("now", 8, "a" * 64)
        activate_encoder(session, register_encoder(session, spec, utc_now()), utc_now(), force=True)
    cursor = Cursor(UUID(search_id), "f" * 64, ListingMatch(uuid4(), 1, 0.5)).encode()
    return site.admin.post("/v1/searches", json={"cursor": cursor})


def while_too_many_wait(site: Site) -> httpx2.Response:
    with site.database.write() as session:
        waiting = [
            accepting.accept(
                session, some_payload(JobType.SEARCH), job_id=uuid4(), now=utc_now()
            ).id
            for _ in range(WAITING)
        ]
    for job_id in waiting:
        # How fast they end is known once the API has seen some end from one second to the next.
        with site.database.write() as session:
            cancelling.cancel(session, job_id, utc_now())
        answer = search(site.impatient)
        if answer.status_code != 202:
            break
        sleep(0.1)
    with site.database.write() as session:
        for job_id in waiting:
            cancelling.cancel(session, job_id, utc_now())
    return answer


EVENT: Final = {
    "event_id": "a",
    "user": "ann",
    "type": "viewed",
    "listing_id": UNKNOWN_ID,
    "at": "2030-01-02T03:04:05Z",
}

Ask = Callable[[Site], httpx2.Response]

TABLE: Final[list[tuple[int, str | None, str, Ask]]] = [
    (400, "malformed_body", "no JSON", lambda at: at.admin.post(
        "/v1/searches", content="{", headers={"Content-Type": "application/json"})),
    (400, "malformed_idempotency_key", "no key", lambda at: search(at.admin, headers=keyed('"'))),
    (401, "unauthenticated", "no API key", lambda at: search(at.stranger)),
    (403, "forbidden", "another scope", lambda at: at.searcher.get("/v1/jobs")),
    (403, "forbidden", "a searcher tells nothing of users", lambda at: at.searcher.delete(
        "/v1/users/ann")),
    (404, "not_found", "no such listing", lambda at: at.admin.get(f"/v1/listings/{UNKNOWN_ID}")),
    (409, "idempotency_in_flight", "the first is under way", while_in_flight),
    (409, "reindex_running", "a reindex is open", while_one_runs),
    (409, "conflict", "a queued job can't be retried", lambda at: at.admin.post(
        f"/v1/jobs/{search(at.admin).json()['id']}:retry")),
    (410, "cursor_expired", "the encoder has changed", of_another_encoder),
    (413, "too_large", "over the limit", lambda at: search(at.admin, bytes(LARGEST_PHOTO + 1))),
    (415, "unsupported_photo", "text", lambda at: search(at.admin, b"GIF or not")),
    (415, "unsupported_body", "XML", lambda at: at.admin.post(
        "/v1/searches", content="<x/>", headers={"Content-Type": "application/xml"})),
    (422, "invalid_photo", "half a photo", lambda at: search(at.admin, jpeg(1)[:400])),
    (422, "invalid_input", "out of range", lambda at: search(at.admin, data={"limit": "101"})),
    (422, "invalid_input", "no event", lambda at: at.admin.post(
        "/v1/events", json={"events": [{"user": "ann"}]})),
    (422, "idempotency_key_reused", "another body", with_another_body),
    (429, "overloaded", "too many wait", while_too_many_wait),
    (503, "unavailable", "the database is away", lambda at: search(at.cut_off)),
    (503, "unavailable", "events can't be stored", lambda at: at.cut_off.post(
        "/v1/events", json={"events": [EVENT]})),
    (202, None, "the broker is away", lambda at: search(at.admin)),
]  # fmt: skip
RETRIED: Final = {"idempotency_in_flight", "overloaded", "unavailable"}


@pytest.mark.parametrize(
    ("status", "code", "ask"),
    [(status, code, ask) for status, code, _, ask in TABLE],
    ids=[f"{status} {why}" for status, _, why, _ in TABLE],
)
def test_status_codes(site: Site, status: int, code: str | None, ask: Ask) -> None:
    answer = ask(site)
    assert answer.status_code == status, answer.text
    said = answer.json()
    if code is None:
        assert said["status"] == "queued"
        # Accepted means stored.
        assert site.admin.get(answer.headers["location"]).json()["id"] == said["id"]
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert (said["code"], said["status"]) == (code, status)
    assert said["type"] == f"urn:marketlens:problem:{code}"
    assert said["title"]
    assert said["detail"]
    if code in RETRIED:
        assert int(answer.headers["retry-after"]) >= 1
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
