"""API keys: `Authorization: Bearer <key>`, checked against the scope that a call needs."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.caller import Caller, is_of_this_machine
from api.deps import Resources
from api.limits.dependency import count_request
from db.keys import KeyHolder, find_key
from models.domain.errors import Forbidden, Unauthenticated
from models.domain.types import Scope

bearer = HTTPBearer(auto_error=False, description="A key made by `marketlens keys create`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def require_scope(
    scope: Scope,
) -> Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[None]]:
    """A dependency that requires a key with this scope; admin keys have every scope.

    It runs before the other dependencies of a route, and tells `api.deps.resources_of` who calls.
    """

    async def check(request: Request, credentials: Credentials) -> None:
        resources: Resources = request.app.state.resources
        holder = None
        if credentials is not None:
            holder = await run_in_threadpool(_holder_of, resources, credentials)
        if is_open(resources, request, scope):
            # This machine's jobs may be a key's as well: it sees them where it needs one.
            request.state.caller = Caller(holder.name if holder else None, sees_all=True)
            return
        count_request(resources, request, holder.name if holder else None)
        known = _require(holder, credentials, scope)
        request.state.caller = Caller(known.name, sees_all=Scope.ADMIN in known.scopes)

    return check


def is_open(resources: Resources, request: Request, scope: Scope) -> bool:
    """Whether a call that needs this scope needs no key."""
    return (
        resources.allow_anonymous and scope is not Scope.ADMIN and is_of_this_machine(request.scope)
    )


def authorise(
    resources: Resources, credentials: HTTPAuthorizationCredentials | None, scope: Scope
) -> None:
    """Check the caller's key for the scope. Raises Unauthenticated or Forbidden."""
    holder = None if credentials is None else _holder_of(resources, credentials)
    _require(holder, credentials, scope)


def _require(
    holder: KeyHolder | None, credentials: HTTPAuthorizationCredentials | None, scope: Scope
) -> KeyHolder:
    if credentials is None:
        raise Unauthenticated("This call needs an API key: `Authorization: Bearer <key>`.")
    if holder is None:
        raise Unauthenticated("This API key is unknown or revoked.")
    if scope not in holder.scopes and Scope.ADMIN not in holder.scopes:
        raise Forbidden(f"This key lacks the scope {scope}.")
    return holder


def _holder_of(resources: Resources, credentials: HTTPAuthorizationCredentials) -> KeyHolder | None:
    with resources.database.read() as session:
        return find_key(session, credentials.credentials)
