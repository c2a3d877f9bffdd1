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
from db.idempotency import (
    LEASE,
    Answer,
    Claim,
    KeyedRequest,
    claim_key,
    find_answer,
    release_claim,
    renew_claim,
)
from models.domain.errors import IdempotencyInFlight, Unavailable

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
    raise IdempotencyInFlight("The first request with this Idempotency-Key is not done yet.")


def _stored_answer(resources: Resources, request: KeyedRequest) -> Answer | None:
    with resources.database.read() as session:
        return find_answer(session, request, resources.now())


@asynccontextmanager
async def held(resources: Resources, claim: Claim) -> AsyncIterator[None]:
    """Renew the claim meanwhile; what ends with an error has made nothing, and frees the key."""
    renewing = asyncio.create_task(_keep_renewing(resources, claim))
    try:
        yield
    except BaseException:
        with CancelScope(shield=True), suppress(Unavailable):
            # An answer that was stored before the error stays.
            await run_in_threadpool(_release, resources, claim)
        raise
    finally:
        renewing.cancel()


async def _keep_renewing(resources: Resources, claim: Claim) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            await run_in_threadpool(_renew, resources, claim)
        except Unavailable as error:
            log.warning("The key of a request could not be renewed: %s", error)


def _renew(resources: Resources, claim: Claim) -> None:
    with resources.database.write() as session:
        renew_claim(session, claim, resources.now())


def _release(resources: Resources, claim: Claim) -> None:
    with resources.database.write() as session:
        release_claim(session, claim)
