"""Traces of requests and of the jobs that came of them, if a collector is named; else nothing.

A request's trace is named in the rows of the jobs that it has made (W3C Trace Context), whose spans
are its children, whenever and wherever they are done.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.domain.optional_dependencies import requires_extra


@dataclass(frozen=True, slots=True)
class TracedJob:
    """An attempt at a job that has ended, and its stages in milliseconds."""

    type: str
    job_id: str
    attempt: int
    outcome: str
    began: datetime
    ended: datetime
    stages_ms: Mapping[str, float]


class RequestSpan(Protocol):
    """The span of a request that is being answered."""

    def answered(self, method: str, route: str, status: int) -> None:
        """Say what it was, and how it ended."""


class Tracer(Protocol):
    """Sends spans somewhere."""

    def request(self, parent: str | None) -> AbstractContextManager[RequestSpan]:
        """The span of a request; `parent` is what its caller says in `traceparent`."""

    def job(self, parent: str, job: TracedJob) -> None:
        """Add the spans of a job, and of its stages, to the trace of the request it came of."""

    def close(self) -> None:
        """Send what is left."""


@dataclass
class _State:
    tracer: Tracer | None = None


_state = _State()


def begin(process: str, url: str | None) -> None:
    """Trace as the process of this name, to an OTLP collector such as `http://localhost:4318`.

    Again in each fork. Raises SetupError where what that needs is not installed.
    """
    _state.tracer = None
    if url is not None:
        with requires_extra("traces"):
            from observability.opentelemetry_tracer import (  # noqa: PLC0415 - an extra
                open_tracer,
            )
        _state.tracer = open_tracer(process, url)


def end() -> None:
    """Send what is left, and trace nothing more."""
    if _state.tracer is not None:
        _state.tracer.close()
    _state.tracer = None


def is_on() -> bool:
    """Whether anything is traced."""
    return _state.tracer is not None


def request_span(parent: str | None) -> AbstractContextManager[RequestSpan | None]:
    """The span of a request, whose context jobs are accepted in; None where nothing is traced."""
    return nullcontext() if _state.tracer is None else _state.tracer.request(parent)


def add_job(parent: str | None, job: TracedJob) -> None:
    """Add a job to the trace that it came of."""
    if _state.tracer is not None and parent is not None:
        _state.tracer.job(parent, job)
