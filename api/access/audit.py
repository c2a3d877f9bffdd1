"""Records calls that change something for everybody in the audit log: by which key, how it ended.

A route or router depends on `AUDITED`, after the check of its scope. What can't be recorded is not
done.
"""

import logging
from collections.abc import AsyncIterator
from typing import Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError

from api.deps import Resources, ResourcesDep
from api.idempotency.replay import Replayed
from db.access.audit_log import ANONYMOUS, DONE, begin_entry, end_entry
from models.domain.errors import InvalidInput, MarketlensError
from models.domain.types import AuditSource

log = logging.getLogger(__name__)

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of calls that change nothing (RFC 9110)."""
RECORDED_IDS: Final = frozenset({"generation_id", "job_id", "listing_id"})
"""Parameters of paths whose values are recorded. That of a user is not."""


async def _audited(request: Request, resources: ResourcesDep) -> AsyncIterator[None]:
    if request.method in SAFE:
        yield
        return
    actor = resources.caller.name or ANONYMOUS
    # The route's path: the request's may have a user's id in it.
    action = f"{request.method} {request.scope['route'].path}"
    details = {name: value for name, value in request.path_params.items() if name in RECORDED_IDS}
    entry_id = await run_in_threadpool(_begin, resources, actor, action, details)
    try:
        yield
    except BaseException as error:
        await run_in_threadpool(_end, resources, entry_id, _result_of(error))
        raise
    await run_in_threadpool(_end, resources, entry_id, DONE)


AUDITED: Final = Depends(_audited, scope="function")
"""Records the calls of a route, or of a router, that are no reading."""


def _result_of(error: BaseException) -> str:
    if isinstance(error, MarketlensError):
        return error.code
    if isinstance(error, Replayed):
        return "replayed"
    return InvalidInput.code if isinstance(error, RequestValidationError) else "failed"


def _begin(resources: Resources, actor: str, action: str, details: dict[str, str]) -> int:
    with resources.database.write() as session:
        return begin_entry(session, AuditSource.API, actor, action, details, resources.now())


def _end(resources: Resources, entry_id: int, result: str) -> None:
    try:
        with resources.database.write() as session:
            end_entry(session, entry_id, result, resources.now())
    except MarketlensError as error:
        # What was done is done: its entry stays without a result.
        log.warning("The end of an admin call is not in the audit log: %s", error)
