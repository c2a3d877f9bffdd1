"""What routes ask for: the desk, the caller, ids, cursors."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated
from uuid import UUID

from anyio import CapacityLimiter
from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from db.keys import KeyHolder, find_key
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from models.domain.types import Scope
from workers.queue.publisher import JobPublisher

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the front desk works with; made once, when the application starts."""

    database: Database
    store: PhotoStore
    publisher: JobPublisher
    max_upload_bytes: int
    decoding: CapacityLimiter
    """Photos are decoded by so many threads at a time: each may need hundreds of megabytes."""
    open_to_all: bool
    """No key is asked for but by admin calls; only where nobody else can reach the port."""

    @staticmethod
    def now() -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskDep = Annotated[Desk, Depends(_desk)]

_bearer = HTTPBearer(auto_error=False, description="A key made by `marketlens keys create`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def authorise(desk: Desk, credentials: HTTPAuthorizationCredentials | None, scope: Scope) -> None:
    """Let the caller pass, or raise Unauthenticated or Forbidden."""
    if desk.open_to_all and scope is not Scope.ADMIN:
        return
    holder = _holder(desk, credentials)
    if scope not in holder.scopes and Scope.ADMIN not in holder.scopes:
        raise Forbidden(f"This key lacks the scope {scope}.")


def _holder(desk: Desk, credentials: HTTPAuthorizationCredentials | None) -> KeyHolder:
    if credentials is None:
        raise Unauthenticated("This call needs an API key: `Authorization: Bearer <key>`.")
    with desk.database.read() as session:
        holder = find_key(session, credentials.credentials)
    if holder is None:
        raise Unauthenticated("This API key is unknown or revoked.")
    return holder


def needs(scope: Scope) -> Callable[[Desk, HTTPAuthorizationCredentials | None], None]:
    """A dependency that lets only callers with this scope pass; admin keys always do."""

    def check(desk: DeskDep, credentials: Credentials) -> None:
        authorise(desk, credentials, scope)

    return check


def _parsed(value: str, what: str) -> UUID:
    # An id that can't be one is unknown like any other, not a mistake in the request's form.
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(f"There is no such {what}.") from None


def _job_id(job_id: Annotated[str, Path(description="Id of a job.")]) -> UUID:
    return _parsed(job_id, "job")


def _search_id(search_id: Annotated[str, Path(description="Id of a search.")]) -> UUID:
    return _parsed(search_id, "search")


def _listing_id(listing_id: Annotated[str, Path(description="Id of a listing.")]) -> UUID:
    return _parsed(listing_id, "listing")


def _photo_id(sha256: Annotated[str, Path(description="SHA-256 of a photo.")]) -> str:
    if not _SHA256.fullmatch(sha256):
        raise NotFound("There is no such photo.")
    return sha256


JobId = Annotated[UUID, Depends(_job_id)]
SearchId = Annotated[UUID, Depends(_search_id)]
ListingId = Annotated[UUID, Depends(_listing_id)]
PhotoId = Annotated[str, Depends(_photo_id)]

Position = tuple[datetime, UUID]


def encode_cursor(position: Position) -> str:
    """An opaque cursor that stands for the last row of a page."""
    created_at, row_id = position
    return base64.urlsafe_b64encode(f"{created_at.isoformat()}|{row_id}".encode()).decode()


def _cursor(
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Position | None:
    if cursor is None:
        return None
    try:
        created_at, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().split("|")
        position = datetime.fromisoformat(created_at), UUID(row_id)
        position[0].astimezone(UTC)
    except (ValueError, binascii.Error, OverflowError):
        raise InvalidInput("The cursor is malformed.") from None
    if position[0].tzinfo is None:
        raise InvalidInput("The cursor is malformed.")
    return position


Cursor = Annotated[Position | None, Depends(_cursor)]
PageSize = Annotated[int, Query(ge=1, le=200)]
