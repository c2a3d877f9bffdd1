"""Stores events. Commits before it returns."""

from functools import partial

from api.deps import Resources
from api.events.schemas import EventsIn
from api.forms import parsed_json
from db.events.store import StoredBatch, store_events
from observability.metrics import EVENTS


def store(resources: Resources, body: bytes) -> StoredBatch:
    """Store the events of a JSON body. Raises MalformedBody, InvalidInput and Unavailable."""
    stated = parsed_json(body, EventsIn, "The body")
    events = [event.to_event() for event in stated.events]
    now = resources.now()
    kept_since = now - resources.events_kept
    work = partial(store_events, events=events, now=now, kept_since=kept_since)
    batch = resources.events.write(work)
    for outcome, number in (
        ("stored", batch.stored),
        ("duplicate", batch.duplicates),
        ("rejected", len(batch.rejected)),
    ):
        EVENTS.count(outcome, by=number)
    return batch
