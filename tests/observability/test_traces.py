"""A request's trace goes through the queue to the jobs that came of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from db.jobs import claiming, reading
from db.session import Database
from models.domain.errors import SetupError
from observability import context, traces
from settings import Settings
from tests.support.http import submit_photo

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"

sdk = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
tracer = pytest.importorskip("observability.opentelemetry_tracer")


@pytest.fixture
def exporter() -> Iterator["sdk.InMemorySpanExporter"]:
    exporter = sdk.InMemorySpanExporter()
    traces._state.tracer = tracer.OpenTelemetryTracer("test", exporter)
    yield exporter
    traces.end()


@pytest.fixture
def client(tmp_path: Path, database: Database) -> Iterator[TestClient]:
    settings = Settings(
        data_dir=tmp_path,
        database_url=database.engine.url.render_as_string(hide_password=False),
        redis_url=f"redis+socket://{tmp_path}/nobody.sock",
    )
    with TestClient(create_app(settings), "http://127.0.0.1:8000") as client:
        yield client


def flushed(exporter: "sdk.InMemorySpanExporter") -> list["sdk.ReadableSpan"]:
    traces._state.tracer._provider.force_flush()  # type: ignore[union-attr]
    return list(exporter.get_finished_spans())


def test_a_job_is_in_the_trace_of_its_request(
    client: TestClient, database: Database, exporter: "sdk.InMemorySpanExporter"
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
    spans = {span.name: span for span in flushed(exporter)}
    request, done = spans["POST /v1/searches"], spans["job search"]
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE_ID}
    assert request.parent.span_id == int("b7ad6b7169203331", 16)
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["marketlens.request_id"] == "of-a-caller"
    assert done.parent.span_id == request.context.span_id
    assert done.attributes["marketlens.job_id"] == job["id"]
    stages = [spans[name] for name in ("queue", "embed", "search")]
    assert [span.parent.span_id for span in stages] == [done.context.span_id] * 3
    assert [round((span.end_time - span.start_time) / 1e6) for span in stages] == [200, 300, 400]
    assert stages[0].start_time == done.start_time
    assert stages[0].end_time == stages[1].start_time
    assert stages[2].end_time <= done.end_time


@pytest.mark.parametrize("stated", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_a_trace_that_is_malformed_is_begun_anew(
    client: TestClient, exporter: "sdk.InMemorySpanExporter", stated: str
) -> None:
    client.get("/healthz", headers={"traceparent": stated})
    (span,) = flushed(exporter)
    assert span.name == "GET /healthz"
    assert span.parent is None


def test_by_default_nothing_is_traced(client: TestClient, database: Database) -> None:
    job = submit_photo(client, "search", headers={"traceparent": PARENT}).json()
    with database.read() as session:
        assert reading.get(session, UUID(job["id"])).trace is None
    assert not traces.is_on()


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "observability.opentelemetry_tracer", None)
    with pytest.raises(SetupError, match=r"pip install 'marketlens\[traces\]'"):
        traces.begin("test", "http://localhost:4318")


def test_jobs_without_a_trace_add_none(exporter: "sdk.InMemorySpanExporter") -> None:
    now = datetime.now(UTC)
    traces.add_job(None, traces.TracedJob("search", str(uuid4()), 1, "failed", now, now, {}))
    assert flushed(exporter) == []
    assert context.trace() is None
