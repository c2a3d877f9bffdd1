"""Events: store a batch."""

from typing import Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Request

from api.auth import require_scope
from api.deps import ResourcesDep
from api.events import service
from api.events.schemas import MAX_EVENTS_BYTES, EventsIn, EventsStored
from api.forms import BodyKind, kind_of_body, read_json_bytes
from api.openapi import BODY_REFUSED, KEY_REFUSED, MATCH_EXAMPLE, described_json
from models.domain.types import Scope

router = APIRouter(
    prefix="/v1/events",
    tags=["events"],
    dependencies=[Depends(require_scope(Scope.EVENTS))],
    responses=KEY_REFUSED,
)

FEW_BYTES: Final = 16_000
"""Of a small batch: about eighty events."""

_EXAMPLE: Final = {
    "event_id": "5f1c8e4a-3a55-4d1c-9a52-6f3d0c5f7b11",
    "user": "buyer-4711",
    "type": "saved",
    "listing_id": MATCH_EXAMPLE["listing_id"],
    "at": "2030-01-02T03:04:05.090Z",
}


@router.post(
    "",
    openapi_extra=described_json(EventsIn, {"a listing was saved": {"events": [_EXAMPLE]}}),
    responses=BODY_REFUSED,
)
async def store(request: Request, resources: ResourcesDep) -> EventsStored:
    """Store up to 1,000 events in their order; they count from the next recommendation on.

    It is safe to send a batch again: each event is stored once by its `event_id`, which is why this
    call takes no `Idempotency-Key`. Events of unknown listings, from the future, or older than
    events are kept are rejected one by one, and the others stored; a body that breaks the schema is
    refused as a whole.
    """
    await kind_of_body(request, [BodyKind.JSON])
    body = await read_json_bytes(request, MAX_EVENTS_BYTES)
    # In a thread also to be parsed: a thousand events take milliseconds.
    limiter = resources.many_events if len(body) > FEW_BYTES else resources.few_events
    batch = await to_thread.run_sync(service.store, resources, body, limiter=limiter)
    return EventsStored.of(batch)
