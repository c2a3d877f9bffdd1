"""Traces by OpenTelemetry, sent over OTLP. Needs the extra `traces`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from observability import context
from observability.exposition import release
from observability.traces import TracedJob

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_FIELD: Final = "traceparent"
_SERVER_ERROR: Final = 500
_BROKEN: Final = frozenset({"failed", "lost"})


def open_tracer(process: str, url: str) -> "OpenTelemetryTracer":
    """Sends spans to a collector. Connects when there are some; what it refuses is left out."""
    return OpenTelemetryTracer(process, OTLPSpanExporter(f"{url.rstrip('/')}/v1/traces"))


class OpenTelemetryTracer:
    """Sends spans by an exporter, in a thread of its own."""

    def __init__(self, process: str, exporter: SpanExporter) -> None:
        about = {
            "service.name": "marketlens",
            "service.version": release(),
            "marketlens.process": process,
        }
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("marketlens")

    @contextmanager
    def request(self, parent: str | None) -> Iterator["_Request"]:
        """The span of a request."""
        above = _context_of(parent)
        with self._tracer.start_as_current_span("request", above, SpanKind.SERVER) as span:
            carrier: dict[str, str] = {}
            _PROPAGATOR.inject(carrier)
            context.bind_trace(carrier.get(_FIELD))
            if (request_id := context.request_id()) is not None:
                span.set_attribute("marketlens.request_id", request_id)
            yield _Request(span)

    def job(self, parent: str, job: TracedJob) -> None:
        """Add a job and its stages, whose times are known now that it has ended."""
        began, ended = _nanoseconds(job.began), _nanoseconds(job.ended)
        span = self._tracer.start_span(
            f"job {job.type}",
            _context_of(parent),
            SpanKind.CONSUMER,
            attributes={
                "marketlens.job_id": job.job_id,
                "marketlens.attempt": job.attempt,
                "marketlens.outcome": job.outcome,
            },
            start_time=began,
        )
        within, at = trace.set_span_in_context(span, Context()), began
        for stage, taken_ms in job.stages_ms.items():
            if stage == "total":
                continue
            # Stages follow one another.
            until = at + int(taken_ms * 1e6)
            self._tracer.start_span(stage, within, start_time=at).end(until)
            at = until
        if job.outcome in _BROKEN:
            span.set_status(Status(StatusCode.ERROR, job.outcome))
        span.end(max(ended, at))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class _Request:
    def __init__(self, span: Span) -> None:
        self._span = span

    def answered(self, method: str, route: str, status: int) -> None:
        self._span.update_name(f"{method} {route}")
        self._span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
        )
        if status >= _SERVER_ERROR:
            self._span.set_status(Status(StatusCode.ERROR))


def _context_of(traceparent: str | None) -> Context:
    """The context that a `traceparent` names; an empty one for none, or one that is malformed."""
    if traceparent is None:
        return Context()
    return _PROPAGATOR.extract({_FIELD: traceparent}, Context())


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1_000
