"""`Prefer: wait=N` (RFC 7240): a response that is held until its job has ended."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response

from api.deps import Resources
from api.jobs.responses import current_job
from api.jobs.schemas import JobOut
from api.jobs.waiting import is_set_within
from db.tables import Job

MAX_WAIT_S = 30.0
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PREFERENCE: Final = re.compile(
    rf"[ \t]*+({_NAME})[ \t]*+(?:=[ \t]*+({_NAME}|{_QUOTED})?[ \t]*+)?(?:;|\Z)"
)
# A comma within a quoted string separates nothing. One that is not closed ends with the line.
_MEMBER: Final = re.compile(rf"(?:[^\",]|{_QUOTED}|\".*+)++")
_SECONDS: Final = re.compile("[0-9]+")


async def _stated_preferences(
    request: Request,
    prefer: Annotated[
        str | None, Header(description="`wait=N` holds the answer, N ≤ 30 s.")
    ] = None,
) -> Sequence[str]:
    """All lines of the header: FastAPI gives the last one to who asks for a text."""
    del prefer  # It is declared for the description.
    return request.headers.getlist("prefer")


Prefer = Annotated[Sequence[str], Depends(_stated_preferences)]


async def awaited_job(
    request: Request,
    resources: Resources,
    job: Job,
    response: Response,
    path: str,
    prefer: Sequence[str],
) -> JobOut:
    """A job just accepted; with `Prefer: wait`, as it is once it has ended or the wait is over.

    `path` is the collection of jobs of its type. Sets the response's status and headers. A caller
    that has gone is not waited for; the job goes on.
    """
    response.headers["Location"] = f"{path}/{job.id}"
    wait_s = _wanted_wait(prefer)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s:g}"
        job = await _wait_for(request, resources, job, wait_s)
    if job.status.terminal:
        response.status_code = HTTPStatus.OK
    return current_job(job, response, resources.backlog.newest_wait_s())


def preferences(lines: Sequence[str]) -> dict[str, str]:
    """The values of preferences by their names in lower case; one without a value is empty.

    Of one that is stated repeatedly the first counts; what is not of RFC 7240's syntax is ignored.
    """
    found: dict[str, str] = {}
    for name, value in _members(lines):
        found.setdefault(name.lower(), value)
    return found


def _members(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        for member in _MEMBER.findall(line):
            stated = _PREFERENCE.match(member)
            if stated:
                yield stated[1], _unquoted(stated[2] or "")


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


def _wanted_wait(prefer: Sequence[str]) -> float:
    """Seconds to hold the response; a wait that is no number of seconds is ignored."""
    stated = preferences(prefer).get("wait", "")
    return min(float(stated), MAX_WAIT_S) if _SECONDS.fullmatch(stated) else 0.0


async def _wait_for(request: Request, resources: Resources, job: Job, wait_s: float) -> Job:
    deadline = monotonic() + wait_s
    async with resources.ended_jobs.waiting_for(job.id) as told, _watched(request, told) as gone:
        while not (job.status.terminal or gone.is_set()) and (left := deadline - monotonic()) > 0:
            if resources.ended_jobs.are_not_awaited:
                break
            await is_set_within(told, left)
            told.clear()
            if not gone.is_set():
                job = await resources.ended_jobs.read(job.id)
    return job


@asynccontextmanager
async def _watched(request: Request, told: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """An event that is set, as well as `told`, when the caller has hung up."""
    gone = asyncio.Event()

    async def watch() -> None:
        # The body has been read: what comes next is the end of the connection.
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()
        told.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
