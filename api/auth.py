"""API keys: `Authorization: Bearer <key>`, checked against the scope that a call needs."""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.deps import Resources, ResourcesDep
from db.keys import KeyHolder, find_key
from models.domain.errors import Forbidden, Unauthenticated
from models.domain.types import Scope

bearer = HTTPBearer(auto_error=False, description="A key made by `marketlens keys create`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_scope(
    scope: Scope,
) -> Callable[[Resources, HTTPAuthorizationCredentials | None], Awaitable[None]]:
    """A dependency that requires a key with this scope; admin keys have every scope."""

    async def check(resources: ResourcesDep, credentials: Credentials) -> None:
        if not is_open(resources, scope):
            await run_in_threadpool(authorise, resources, credentials, scope)

    return check


def is_open(resources: Resources, scope: Scope) -> bool:
    """Whether calls that need this scope need no key."""
    return resources.allow_anonymous and scope is not Scope.ADMIN


def authorise(
    resources: Resources, credentials: HTTPAuthorizationCredentials | None, scope: Scope
) -> KeyHolder | None:
    """Check the caller's key for the scope; returns its holder, None where none is needed.

    Raises Unauthenticated or Forbidden.
    """
    if is_open(resources, scope):
        return None
    holder = key_holder(resources, credentials)
    if scope not in holder.scopes and Scope.ADMIN not in holder.scopes:
        raise Forbidden(f"This key lacks the scope {scope}.")
    return holder


def key_holder(resources: Resources, credentials: HTTPAuthorizationCredentials | None) -> KeyHolder:
    """The holder of the caller's key, whose use is noted. Raises Unauthenticated."""
    if credentials is None:
        raise Unauthenticated("This call needs an API key: `Authorization: Bearer <key>`.")
    with resources.database.read() as session:
        holder = find_key(session, credentials.credentials, resources.now())
    if holder is None:
        raise Unauthenticated("This API key is unknown or revoked.")
    resources.key_uses.note(holder.id)
    return holder
