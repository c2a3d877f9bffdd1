"""Keyset pagination: pages follow the creation time and id of the last row seen, newest first."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from models.domain.errors import InvalidInput

Position = tuple[datetime, UUID]
"""Creation time (UTC) and id of a row."""


def encode_cursor(position: Position) -> str:
    """An opaque cursor of the last row of a page."""
    created_at, row_id = position
    return base64.urlsafe_b64encode(f"{created_at.isoformat()}|{row_id}".encode()).decode()


def next_cursor(positions: Sequence[Position], limit: int) -> str | None:
    """The cursor of the page after these rows; None when they are fewer than `limit`."""
    return encode_cursor(positions[-1]) if len(positions) == limit else None


def _decode_cursor(
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


PageCursor = Annotated[Position | None, Depends(_decode_cursor)]
PageSize = Annotated[int, Query(ge=1, le=200)]
