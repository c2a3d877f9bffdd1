"""A request's trace goes through the queue to the jobs that came of it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.main import create_app
from db.jobs import claiming, reading
from db.session import Database
from models.domain.errors import SetupError
from observability import context, traces
from observability.opentelemetry_tracer import OpenTelemetryTracer
from settings import Settings
from tests.support.http import submit_photo

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    traces._state.tracer = OpenTelemetryTracer("test", exporter)
    yield exporter
    traces.end()


@pytest.fixture
def client(tmp_path: Path, database: Database) -> Iterator[TestClient]:
    settings = Settings(
        data_dir=tmp_path,
        database_url=database.engine.url.render_as_string(hide_password=False),
        redis_url=f"redis+socket://{tmp_path}/nobody.sock",
    )
    with TestClient(
        create_app(settings), "http://127.0.0.1:8000", client=("127.0.0.1", 50_000)
    ) as client:
        yield client


@dataclass(frozen=True)
class Sent:
    """A span that was sent; times in nanoseconds."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    began: int
    ended: int
    attributes: dict[str, object]


def sent(exporter: InMemorySpanExporter) -> list[Sent]:
    """All spans that were sent so far."""
    tracer = traces._state.tracer
    assert isinstance(tracer, OpenTelemetryTracer)
    tracer._provider.force_flush()
    found = []
    for span in exporter.get_finished_spans():
        assert span.context is not None
        assert span.start_time is not None
        assert span.end_time is not None
        found.append(
            Sent(
                span.name,
                span.context.trace_id,
                span.context.span_id,
                span.parent.span_id if span.parent else None,
                span.start_time,
                span.end_time,
                dict(span.attributes or {}),
            )
        )
    return found


def test_a_job_is_in_the_trace_of_its_request(
    client: TestClient, database: Database, exporter: InMemorySpanExporter
) -> None:
    headers = {"traceparent": PARENT, "X-Request-ID": "of-a-caller"}
    job = submit_photo(client, "search", headers=headers).json()
    now = datetime.now(UTC)
    with database.write() as session:
        claim = claiming.claim(session, UUID(job["id"]), now, timedelta(seconds=60))
    assert claim is not None
    traces.add_job(
        claim.trace,
        traces.TracedJob(
            "search", str(claim.job_id), 1, "succeeded", now - timedelta(seconds=1), now,
            {"queue": 200.0, "embed": 300.0, "search": 400.0, "total": 1_000.0},
        ),
    )  # fmt: skip
    spans = {span.name: span for span in sent(exporter)}
    request, done = spans["POST /v1/searches"], spans["job search"]
    assert {f"{span.trace_id:032x}" for span in spans.values()} == {TRACE_ID}
    assert request.parent_id == int("b7ad6b7169203331", 16)
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["marketlens.request_id"] == "of-a-caller"
    assert done.parent_id == request.span_id
    assert done.attributes["marketlens.job_id"] == job["id"]
    stages = [spans[name] for name in ("queue", "embed", "search")]
    assert [span.parent_id for span in stages] == [done.span_id] * 3
    assert [round((span.ended - span.began) / 1e6) for span in stages] == [200, 300, 400]
    assert stages[0].began == done.began
    assert stages[0].ended == stages[1].began
    assert stages[2].ended <= done.ended


@pytest.mark.parametrize("stated", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_a_trace_that_is_malformed_is_begun_anew(
    client: TestClient, exporter: InMemorySpanExporter, stated: str
) -> None:
    client.get("/healthz", headers={"traceparent": stated})
    (span,) = sent(exporter)
    assert span.name == "GET /healthz"
    assert span.parent_id is None


def test_by_default_nothing_is_traced(client: TestClient, database: Database) -> None:
    job = submit_photo(client, "search", headers={"traceparent": PARENT}).json()
    with database.read() as session:
        assert reading.get(session, UUID(job["id"])).trace is None
    assert not traces.is_on()


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "observability.opentelemetry_tracer")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(SetupError, match=r"needs opentelemetry\.sdk.*\[traces\]"):
        traces.begin("test", "http://localhost:4318")


def test_jobs_without_a_trace_add_none(exporter: InMemorySpanExporter) -> None:
    now = datetime.now(UTC)
    traces.add_job(None, traces.TracedJob("search", str(uuid4()), 1, "failed", now, now, {}))
    assert sent(exporter) == []
    assert context.trace() is None
