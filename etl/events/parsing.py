"""The fields of a row as an event, or why they are none."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

from db.events.store import NewEvent
from etl.clean.uuids import Ids, canonical_id, is_id
from etl.events.reading import REQUIRED
from models.domain.limits import MAX_USER
from models.domain.recommendations.events import MAX_EVENT_ID, MAX_POSITION, EventKind

_KINDS: Final = {kind.value: kind for kind in EventKind}


class Fault(Exception):
    """Why a field can't be used."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def parsed_event(fields: Mapping[str, object], ids: Ids) -> NewEvent:
    """The event of a row; without an id, it is made from what the row says.

    `ids` says how listings are named, unless by UUIDs. Raises Fault.
    """
    for name in REQUIRED:
        if name not in fields:
            raise Fault(name, "is not stated")
    user = _line(fields, "user", MAX_USER)
    kind = _kind(fields)
    listing_id = _listing_id(fields, ids)
    at = _at(fields)
    search_id = _search_id(fields)
    position = _position(fields)
    if "event_id" in fields:
        event_id = _line(fields, "event_id", MAX_EVENT_ID)
    else:
        said = [user, kind, str(listing_id), at.astimezone(UTC).isoformat(), search_id, position]
        event_id = f"row {_digest(said)}"
    return NewEvent(event_id, user, kind, listing_id, at, search_id, position)


def _digest(values: Sequence[object]) -> str:
    return blake2b(json.dumps(values, default=str).encode(), digest_size=20).hexdigest()


def _line(fields: Mapping[str, object], name: str, at_most: int) -> str:
    value = fields[name]
    # Ids may be numbers in JSON.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise Fault(name, "is no text")
    if len(text) > at_most:
        raise Fault(name, f"has more than {at_most} characters")
    if "\0" in text or (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)):
        raise Fault(name, "has characters that no text has")
    return text


def _kind(fields: Mapping[str, object]) -> EventKind:
    kind = _KINDS.get(str(fields["type"]).strip().lower())
    if kind is None:
        raise Fault("type", f"is none of {', '.join(_KINDS)}")
    return kind


def _listing_id(fields: Mapping[str, object], ids: Ids) -> UUID:
    text = str(fields["listing_id"])
    if is_id(text):
        return UUID(canonical_id(text))
    if ids.feed is None:
        raise Fault("listing_id", "is no UUID; is it a feed's own id? Name the feed: --feed NAME")
    try:
        return UUID(ids(text))
    except ValueError as error:
        raise Fault("listing_id", str(error)) from error


def _at(fields: Mapping[str, object]) -> datetime:
    try:
        at = datetime.fromisoformat(str(fields["at"]).strip())
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Fault("at", "is no time such as 2030-01-02T03:04:05Z") from None
    if at.tzinfo is None:
        raise Fault("at", "has no time zone, as 2030-01-02T03:04:05Z has")
    return at


def _search_id(fields: Mapping[str, object]) -> UUID | None:
    if "search_id" not in fields:
        return None
    text = str(fields["search_id"])
    if not is_id(text):
        raise Fault("search_id", "is no UUID")
    return UUID(canonical_id(text))


def _position(fields: Mapping[str, object]) -> int | None:
    if "position" not in fields:
        return None
    value = fields["position"]
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()):
        raise Fault("position", "is no whole number")
    if len(text) > len(str(MAX_POSITION)) or int(text) > MAX_POSITION:
        raise Fault("position", f"is over {MAX_POSITION:,}")
    return int(text)
