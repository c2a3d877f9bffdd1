"""Counts a request before anything is done for it, and refuses it when it is one too many."""

from collections.abc import AsyncIterator

from fastapi import Depends, Request

from api.caller import is_of_this_machine
from api.deps import Resources
from api.limits.headers import STATE
from api.limits.rates import kind_of


def count_request(resources: Resources, request: Request, key: str | None) -> None:
    """Count a request of the holder of a key, or without one of an address. Raises RateLimited."""
    host = request.client.host if request.client else ""
    kind = kind_of(request.method, request.url.path)
    taken = resources.rate_limiter.take(kind, key, host)
    setattr(request.state, STATE, taken.standings)
    if taken.refusal is not None:
        raise taken.refusal


async def limit_address(request: Request) -> None:
    """A dependency of what needs no key: limits an address, but not this machine itself."""
    resources: Resources = request.app.state.resources
    if not (resources.allow_anonymous and is_of_this_machine(request.scope)):
        count_request(resources, request, None)


async def _bulk_slot(request: Request) -> AsyncIterator[None]:
    resources: Resources = request.app.state.resources
    since = resources.bulk_slots.enter()
    try:
        yield
    finally:
        resources.bulk_slots.leave(since)


bulk_slot = Depends(_bulk_slot, scope="function")
"""A dependency that holds a place from before the body is read until the answer is made."""
