"""The ids that a line of log and an accepted job have: of the request, the job and the key.

They are context variables: tasks and threads that are started with a copy of the context have them.
Not structlog's own ones: every command imports this, and structlog takes longer than most.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID, uuid4

REQUEST_ID_LENGTH: Final = 64
"""Characters of a request's id, at most."""

REQUEST_ID_HEADER: Final = "X-Request-ID"

_request: ContextVar[str | None] = ContextVar("request_id", default=None)
_trace: ContextVar[str | None] = ContextVar("trace", default=None)
_job: ContextVar[UUID | None] = ContextVar("job_id", default=None)
_key: ContextVar[int | None] = ContextVar("key_id", default=None)

_CLEAN: Final = re.compile(rf"[A-Za-z0-9._~:+/=-]{{1,{REQUEST_ID_LENGTH}}}")


def is_request_id(stated: str) -> bool:
    """Whether what a caller states is taken: printable ASCII without spaces or quotes, bounded."""
    return _CLEAN.fullmatch(stated) is not None


def new_request_id() -> str:
    """An id for a request that states none that is taken."""
    return uuid4().hex


def bind_request(request_id: str | None) -> None:
    """Have what follows in this context belong to a request."""
    _request.set(request_id)


def bind_trace(traceparent: str | None) -> None:
    """Have what follows in this context belong to a trace (W3C Trace Context)."""
    _trace.set(traceparent)


def bind_key(key_id: int | None) -> None:
    """Have what follows in this context belong to the holder of an API key."""
    _key.set(key_id)


@contextmanager
def of_job(job_id: UUID, request: str | None, traceparent: str | None) -> Iterator[None]:
    """Have what happens within belong to a job, and to the request and trace that it came of."""
    was_request, was_job, was_trace = (
        _request.set(request),
        _job.set(job_id),
        _trace.set(traceparent),
    )
    try:
        yield
    finally:
        _request.reset(was_request)
        _job.reset(was_job)
        _trace.reset(was_trace)


def request_id() -> str | None:
    """The request that this context belongs to, if any."""
    return _request.get()


def trace() -> str | None:
    """The trace that this context belongs to, if any."""
    return _trace.get()


def ids() -> dict[str, str | int]:
    """All ids of this context, by the names that they have in the log."""
    found: dict[str, str | int] = {}
    if (request := _request.get()) is not None:
        found["request_id"] = request
    if (job := _job.get()) is not None:
        found["job_id"] = str(job)
    if (key := _key.get()) is not None:
        found["key_id"] = key
    return found
