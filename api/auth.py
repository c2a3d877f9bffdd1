"""API keys: `Authorization: Bearer <key>`, checked against the scope that a call needs."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, NoReturn

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.caller import Caller, is_of_this_machine
from api.deps import Resources
from api.limits.dependency import count_request
from db.keys import KeyHolder, find_key
from models.domain.errors import Forbidden, Unauthenticated
from models.domain.types import Scope
from observability.context import bind_key

bearer = HTTPBearer(auto_error=False, description="A key made by `marketlens keys create`.")
NEEDS_KEY: Final = "This call needs an API key: `Authorization: Bearer <key>`."

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def require_scope(
    scope: Scope,
) -> Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[None]]:
    """A dependency that requires a key with this scope; admin keys have every scope.

    It runs before the other dependencies of a route, and tells `api.deps.resources_of` who calls.
    """

    async def check(request: Request, credentials: Credentials) -> None:
        resources: Resources = request.app.state.resources
        holder, refusal = None, None
        if credentials is not None:
            try:
                holder = await run_in_threadpool(key_holder, resources, credentials)
            except Unauthenticated as error:
                refusal = error
        # Here and not where it is found: a thread has a context of its own.
        bind_key(holder.id if holder else None)
        if is_open(resources, request, scope):
            # This machine's jobs may be a key's as well: it sees them where it needs one.
            request.state.caller = Caller(holder.name if holder else None, sees_all=True)
            return
        # Also of keys that are not valid: otherwise they could be guessed without a limit.
        count_request(resources, request, holder.name if holder else None)
        known = _with_scope(holder or _refused(refusal), scope)
        request.state.caller = Caller(known.name, sees_all=Scope.ADMIN in known.scopes)

    return check


def is_open(resources: Resources, request: Request, scope: Scope) -> bool:
    """Whether a call that needs this scope needs no key."""
    return (
        resources.allow_anonymous and scope is not Scope.ADMIN and is_of_this_machine(request.scope)
    )


def authorise(
    resources: Resources, credentials: HTTPAuthorizationCredentials | None, scope: Scope
) -> KeyHolder:
    """The holder of the caller's key, which has the scope. Raises Unauthenticated or Forbidden."""
    return _with_scope(key_holder(resources, credentials), scope)


def key_holder(resources: Resources, credentials: HTTPAuthorizationCredentials | None) -> KeyHolder:
    """The holder of the caller's key, whose use is noted. Raises Unauthenticated."""
    if credentials is None:
        raise Unauthenticated(NEEDS_KEY)
    with resources.database.read() as session:
        holder = find_key(session, credentials.credentials, resources.now())
    if holder is None:
        raise Unauthenticated("This API key is unknown or revoked.")
    resources.key_uses.note(holder.id)
    return holder


def _refused(refusal: Unauthenticated | None) -> NoReturn:
    raise refusal or Unauthenticated(NEEDS_KEY)


def _with_scope(holder: KeyHolder, scope: Scope) -> KeyHolder:
    if scope not in holder.scopes and Scope.ADMIN not in holder.scopes:
        raise Forbidden(f"This key lacks the scope {scope}.")
    return holder
