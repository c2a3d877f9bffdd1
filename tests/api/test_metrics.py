"""What is counted of requests, who may read it, and that callers can't make it grow."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from api.metrics.service import MetricsOfMachine
from db.consumption import record_consumption
from db.jobs import accepting, claiming
from db.session import Database
from db.vectors import generations
from db.vectors.encoders import activate_initial_encoder
from models.domain.clock import utc_now
from models.domain.errors import Unavailable
from models.domain.types import EncoderSpec, JobType, Scope
from observability.exposition import CONTENT_TYPE
from observability.instruments import Instrument
from tests.support.http import MakeClient, assert_problem, create_listing, submit_photo
from tests.support.observing import Samples, counted_in, samples
from tests.support.payloads import some_payload


def read(client: TestClient, **headers: str) -> Samples:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == CONTENT_TYPE
    return samples(response.content)


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"marketlens_{name}", frozenset(labels.items())]


@pytest.fixture
def client(make_client: MakeClient, tmp_path: Path) -> Iterator[TestClient]:
    """Of an application whose counts begin at zero."""
    with counted_in(tmp_path / "counts", "api"):
        yield make_client()


def test_requests_are_counted_by_their_route(client: TestClient) -> None:
    client.get(f"/v1/listings/{uuid4()}")
    client.get(f"/v1/listings/{uuid4()}")
    client.get(f"/v1/jobs/{uuid4()}")
    submit_photo(client, "search")
    client.get("/static/app.js")
    client.get("/docs")
    client.get(f"/{uuid4()}")
    client.request("PROPFIND", "/v1/listings")
    client.delete("/v1/searches")
    found = read(client)
    expected = {
        ("/v1/listings/{listing_id}", "GET", "404"): 2,
        ("/v1/jobs/{job_id}", "GET", "404"): 1,
        ("/v1/searches", "POST", "202"): 1,
        ("file", "GET", "200"): 1,
        ("/docs", "GET", "200"): 1,
        ("unmatched", "GET", "404"): 1,
        ("/v1/listings", "other", "405"): 1,
        ("/v1/searches", "DELETE", "405"): 1,
    }
    for (route, method, status), number in expected.items():
        labels = {"route": route, "method": method, "status": status}
        assert value(found, "http_requests_total", **labels) == number
    # The request that asks is under way.
    assert value(found, "http_requests_in_flight") == 1
    took = {"route": "/v1/searches", "method": "POST"}
    assert value(found, "http_request_seconds_count", **took) == 1


def test_refusals_are_counted_by_code_also_those_of_middleware(client: TestClient) -> None:
    client.get(f"/v1/listings/{uuid4()}")
    client.post("/v1/searches", content=b"x", headers={"Content-Encoding": "gzip"})
    client.get("/v1/listings", headers={"Host": "shop.example"})
    found = read(client)
    assert value(found, "problems_total", code="not_found") == 1
    assert value(found, "problems_total", code="unsupported_body") == 1
    assert value(found, "problems_total", code="forbidden") == 1
    unmatched = {"route": "unmatched", "method": "GET", "status": "403"}
    assert value(found, "http_requests_total", **unmatched) == 1


def test_whatever_callers_send_there_are_no_more_series_than_before(client: TestClient) -> None:
    def call(number: int) -> None:
        client.get(f"/v1/listings/{uuid4()}")
        client.get(f"/v1/photos/{number:064x}")
        client.get(f"/{uuid4()}/x")
        client.get(f"/static/{uuid4()}")
        client.request(f"M{number}", "/v1/listings")
        client.post("/v1/searches", json={f"field{number}": number})
        client.get("/v1/jobs", headers={"Authorization": f"Bearer {uuid4()}"})
        client.get("/healthz", headers={"X-Request-ID": f"r{number}", "Host": f"h{number}"})
        create_listing(client, seller=f"seller {number}", category=f"Kettles {number}")
        event = {"event_id": f"e{number}", "user": f"u{number}", "type": "viewed"}
        event |= {"listing_id": str(uuid4()), "at": "2030-01-01T00:00:00Z"}
        client.post("/v1/events", json={"events": [event]})

    call(0)
    read(client)  # its own request is counted as well
    before = {series for series in read(client) if "process" not in series[0]}
    for number in range(1, 30):
        call(number)
    assert {series for series in read(client) if "process" not in series[0]} == before
    assert len(before) < 2_000


def test_every_series_is_stated(client: TestClient) -> None:
    """Nothing is counted under a name or labels that the reference lacks."""
    submit_photo(client, "search")
    stated = {name: set(one.labels) for name, one in Instrument.stated.items()}
    for name, labels in read(client):
        base = name
        for suffix in ("_total", "_bucket", "_sum", "_count", "_created"):
            if base not in stated:
                base = name.removesuffix(suffix)
        assert base in stated, name
        assert {label for label, _ in labels} - {"le"} == stated[base]


def test_queues_are_seen_in_the_database(client: TestClient, database: Database) -> None:
    now = utc_now()
    with database.write() as session:
        for age_s, kind in ((90, JobType.EMBED), (60, JobType.EMBED), (5, JobType.SEARCH)):
            accepting.accept(
                session,
                some_payload(kind),
                job_id=uuid4(),
                now=now - timedelta(seconds=age_s),
            )
        running = uuid4()
        accepting.accept(session, some_payload(JobType.REINDEX), job_id=running, now=now)
        claiming.claim(session, running, now, timedelta(seconds=60))
        record_consumption(session, "embed", now - timedelta(seconds=40), None)
    found = read(client)
    assert value(found, "queue_jobs", queue="embed", status="queued") == 2
    assert value(found, "queue_jobs", queue="search", status="queued") == 1
    assert value(found, "queue_jobs", queue="index", status="running") == 1
    assert value(found, "queue_jobs", queue="index", status="queued") == 0
    assert 90 <= value(found, "queue_oldest_seconds", queue="embed") < 150
    assert value(found, "queue_oldest_seconds", queue="index") == 0
    assert 40 <= value(found, "queue_unseen_seconds", queue="embed") < 100
    # Nobody was ever seen there.
    assert 0 < value(found, "queue_unseen_seconds", queue="search") < 40
    assert 0 < value(found, "queue_unseen_seconds", queue="relay") < 40
    assert value(found, "database_up") == 1
    assert value(found, "broker_up") == 0


def test_the_live_generation_is_seen(client: TestClient, database: Database) -> None:
    now = utc_now()
    with database.write() as session:
        spec = EncoderSpec("thumbnail", 4, "f" * 64)
        encoder_id = activate_initial_encoder(session, spec, now).id
        job_id = uuid4()
        accepting.accept(session, some_payload(JobType.REINDEX), job_id=job_id, now=now)
        built = generations.begin(session, encoder_id, job_id, now - timedelta(hours=1))
        generations.activate(session, built.id, now, rows=50, recall_at_10=0.97)
    found = read(client)
    assert value(found, "generation_rows") == 50
    assert value(found, "generation_recall") == 0.97
    assert 3_600 <= value(found, "generation_age_seconds") < 3_700


def test_off_loopback_a_key_of_the_scope_may_read(
    make_client: MakeClient, key: Callable[..., dict[str, str]]
) -> None:
    client = make_client(host="0.0.0.0")  # noqa: S104 - nothing is bound
    assert_problem(client.get("/metrics"), 401, "unauthenticated")
    assert_problem(client.get("/metrics", headers=key(Scope.SEARCH)), 403, "forbidden")
    assert client.get("/metrics", headers=key(Scope.METRICS)).status_code == 200
    assert client.get("/metrics", headers=key(Scope.ADMIN)).status_code == 200
    assert_problem(client.get("/v1/listings", headers=key(Scope.METRICS)), 403, "forbidden")


def test_who_may_read_may_do_so_while_the_database_is_away(
    make_client: MakeClient, key: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MetricsOfMachine, "LOOKED_UP_FOR_S", 0)
    client = make_client(host="0.0.0.0")  # noqa: S104 - nothing is bound
    known, unknown = key(Scope.METRICS), key(Scope.METRICS)
    assert client.get("/metrics", headers=known).status_code == 200

    def away(self: Database) -> None:
        raise Unavailable(f"{self.engine.url} is away")

    monkeypatch.setattr(Database, "read", away)
    found = read(client, **known)
    assert value(found, "database_up") == 0
    assert not [series for series in found if series[0] == "marketlens_queue_jobs"]
    assert_problem(client.get("/metrics", headers=unknown), 503, "unavailable")
    assert_problem(client.get("/metrics"), 401, "unauthenticated")
