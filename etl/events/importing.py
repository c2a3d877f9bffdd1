"""Stores the events of a table, a batch in each transaction."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Final

from db.events.store import IN_FUTURE, TOO_OLD, UNKNOWN_LISTING, NewEvent, StoredBatch, store_events
from db.session import Database
from db.statements import chunks
from etl.clean.rejects import Reject, Rejects, shorten
from etl.clean.uuids import Ids
from etl.events.parsing import Fault, parsed_event
from etl.events.reading import EventRow
from models.domain.errors import Misconfigured, Unavailable

BATCH: Final = 1_000
TRIES: Final = 5
"""How often a batch is stored, at most, while the database is busy or away."""
REST_PART: Final = 1 / 4
"""Of the time that a transaction took: others wait for the database of one writer meanwhile."""

_FIELD_OF: Final = {UNKNOWN_LISTING: "listing_id", IN_FUTURE: "at", TOO_OLD: "at"}
_REASON_OF: Final = {
    UNKNOWN_LISTING: "is no listing here",
    IN_FUTURE: "is in the future",
    TOO_OLD: "is older than events are kept (MARKETLENS_EVENTS_KEPT_DAYS)",
}


@dataclass
class Imported:
    """How many rows were read, and what became of their events."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class EventImport:
    """Imports tables of events. `file` names the table in rejects; with no database nothing is
    stored, and listings are not looked up."""

    database: Database | None
    rejects: Rejects
    file: str
    ids: Ids
    kept: timedelta
    clock: Callable[[], datetime]

    def run(self, rows: Iterable[EventRow], on_batch: Callable[[Imported], None]) -> Imported:
        """Store the events of these rows; those that are stored already are not stored again.

        A batch that was stored stays, whatever becomes of the next. Raises Unavailable.
        """
        imported = Imported()
        for batch in chunks(rows, BATCH):
            imported.read += len(batch)
            parsed = list(self._parsed(batch))
            imported.rejected += len(batch) - len(parsed)
            if self.database is not None and parsed:
                told = self._store(self.database, [event for _, event in parsed])
                imported.stored += told.stored
                imported.duplicates += told.duplicates
                imported.rejected += len(told.rejected)
                for one in told.rejected:
                    row, event = parsed[one.index]
                    self._reject(row, _FIELD_OF[one.code], _REASON_OF[one.code], event)
            on_batch(imported)
        return imported

    def _parsed(self, rows: Iterable[EventRow]) -> Iterator[tuple[EventRow, NewEvent]]:
        for row in rows:
            if row.fault:
                self._reject(row, "", row.fault)
                continue
            try:
                yield row, parsed_event(row.fields, self.ids)
            except Fault as fault:
                self._reject(row, fault.field, fault.reason)

    def _reject(
        self, row: EventRow, field: str, reason: str, event: NewEvent | None = None
    ) -> None:
        # By the listing's id: that of an event may have a user's in it.
        listing = event.listing_id if event else row.fields.get("listing_id", "")
        self.rejects.add([Reject(self.file, row.number, shorten(str(listing)), field, reason)])

    def _store(self, database: Database, events: list[NewEvent]) -> StoredBatch:
        for tried in range(1, TRIES + 1):
            began = monotonic()
            now = self.clock()
            try:
                with database.write() as session:
                    told = store_events(session, events, now, now - self.kept)
            except Unavailable as error:
                if tried == TRIES or isinstance(error, Misconfigured):
                    raise
            else:
                sleep((monotonic() - began) * REST_PART)
                return told
        raise AssertionError("the last try returns or raises")
