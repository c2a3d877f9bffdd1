"""Claims the key of a request, and holds the claim while the request is under way."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import uuid4

from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool

from api.deps import Resources
from api.jobs.waiting import is_set_within
from db.idempotency import (
    LEASE,
    NOT_DONE,
    Answer,
    Claim,
    KeyedRequest,
    claim_key,
    find_answer,
    release_claim,
    renew_claim,
)
from models.domain.errors import IdempotencyInFlight, MarketlensError

log = logging.getLogger(__name__)

RENEW_EVERY_S: Final = LEASE.total_seconds() / 3


def answer_or_claim(resources: Resources, request: KeyedRequest) -> Answer | Claim:
    """The stored answer to this request, or its claim to make it.

    Raises IdempotencyKeyReused and IdempotencyInFlight.
    """
    # Read first: a repeated request waits for no writer.
    if answer := _stored_answer(resources, request):
        return answer
    with resources.database.write() as session:
        claim = claim_key(session, request, uuid4(), resources.now())
    if claim is not None:
        return claim
    # Another request was first; if it has made nothing, its key is free again by now.
    if answer := _stored_answer(resources, request):
        return answer
    raise IdempotencyInFlight(NOT_DONE)


def _stored_answer(resources: Resources, request: KeyedRequest) -> Answer | None:
    with resources.database.read() as session:
        return find_answer(session, request, resources.now())


@asynccontextmanager
async def held(resources: Resources, claim: Claim) -> AsyncIterator[None]:
    """Renew the claim meanwhile; what ends with an error has made nothing, and frees the key."""
    ended = asyncio.Event()
    renewing = asyncio.create_task(_keep_renewing(resources, claim, ended))
    try:
        yield
    except BaseException:
        with CancelScope(shield=True), suppress(MarketlensError):
            # An answer that was stored before the error stays.
            await run_in_threadpool(_release, resources, claim)
        raise
    finally:
        # Not cancelled: a thread would go on, with a connection that is then closed.
        ended.set()
        await renewing


async def _keep_renewing(resources: Resources, claim: Claim, ended: asyncio.Event) -> None:
    while not await is_set_within(ended, RENEW_EVERY_S):
        try:
            await run_in_threadpool(_renew, resources, claim)
        except MarketlensError as error:
            log.warning("The Idempotency-Key of a request is not renewed: %s", error)


def _renew(resources: Resources, claim: Claim) -> None:
    with resources.database.write() as session:
        renew_claim(session, claim, resources.now())


def _release(resources: Resources, claim: Claim) -> None:
    with resources.database.write() as session:
        release_claim(session, claim)
