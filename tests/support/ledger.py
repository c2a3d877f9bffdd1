"""A client's ledger: everything that was accepted with 202, and what became of it.

It is checked against the database itself, and by this process' own clock: what the product says of
itself is what is under test.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final
from uuid import UUID

from sqlalchemy import select

from db.session import Database
from db.statements import chunks
from db.tables import Embedding, Job, Listing, ListingPhoto
from models.domain.errors import MarketlensError
from models.domain.job_payloads import EmbedPayload
from models.domain.job_results.searches import SearchResult
from models.domain.types import ENDED_STATUSES, JobStatus, JobType

log = logging.getLogger(__name__)

FOLLOW_EVERY_S: Final = 0.2


class Kind(StrEnum):
    """What was accepted."""

    SEARCH = "search"
    LISTING = "listing"


@dataclass(slots=True)
class Entry:
    """One 202. Times are of `time.monotonic`.

    `listing_id` is the listing that was created, or the one that a search must find first.
    """

    kind: Kind
    job_id: UUID
    listing_id: UUID
    accepted_at: float
    took_s: float
    photo: bytes = b""
    ended_at: float | None = None
    status: JobStatus | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with the entries of a ledger: sentences, one for each that is."""

    accepted: int
    lost: Sequence[str] = ()
    doubled: Sequence[str] = ()
    stuck: Sequence[str] = ()
    wrong: Sequence[str] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is."""
        return not (self.lost or self.doubled or self.stuck or self.wrong)

    def __str__(self) -> str:
        counts = (
            f"{len(self.lost)} lost, {len(self.doubled)} doubled, {len(self.stuck)} stuck, "
            f"{len(self.wrong)} wrong of {self.accepted}"
        )
        examples = [*self.lost[:3], *self.doubled[:3], *self.stuck[:3], *self.wrong[:3]]
        return "; ".join([counts, *examples])


@dataclass
class Ledger:
    """What was accepted, by the ids of the jobs; safe for several threads."""

    entries: dict[UUID, Entry] = field(default_factory=dict)
    findable: dict[UUID, bytes] = field(default_factory=dict)
    """Photos of listings whose embed job has ended: a search for one must find its listing."""
    wrong: list[tuple[float, str]] = field(default_factory=list)
    """What a job ended with that it must not have, and when that was accepted."""
    refused: Counter[int] = field(default_factory=Counter)
    """Answers other than 202, by status; 0 stands for none at all."""
    _lock: Lock = field(default_factory=Lock)

    def accept(self, entry: Entry) -> None:
        """Write down a 202."""
        with self._lock:
            self.entries[entry.job_id] = entry

    def refuse(self, status: int) -> None:
        """Write down another answer, or 0 for none."""
        with self._lock:
            self.refused[status] += 1

    def forget(self, listing_id: UUID) -> None:
        """The listing is about to be deleted: searches need not find it any more."""
        with self._lock:
            self.findable.pop(listing_id, None)

    def photos(self) -> list[tuple[UUID, bytes]]:
        """Listings that must be found, with their photos."""
        with self._lock:
            return list(self.findable.items())

    def of(self, kind: Kind) -> list[Entry]:
        """All entries of a kind, in the order in which they were accepted."""
        with self._lock:
            return [entry for entry in self.entries.values() if entry.kind is kind]

    def open(self, until: float = float("inf")) -> list[Entry]:
        """Entries that were accepted until then and are not known to have ended."""
        with self._lock:
            entries = list(self.entries.values())
        return [e for e in entries if e.ended_at is None and e.accepted_at <= until]

    def slowest_s(self, since: float) -> float:
        """The longest time that a 202 took, of those accepted since."""
        with self._lock:
            return max(
                (e.took_s for e in self.entries.values() if e.accepted_at >= since), default=0
            )

    def recovery_s(self, kind: Kind, fault_ended_at: float) -> float | None:
        """Seconds after the fault's end at which everything accepted before it had ended, and the
        first that came later; None while they have not.
        """
        waited, later = [], None
        for entry in self.of(kind):
            if entry.accepted_at > fault_ended_at:
                later = entry
                break
            waited.append(entry)
        if later is None or any(entry.ended_at is None for entry in [*waited, later]):
            return None
        return max(entry.ended_at or 0.0 for entry in [*waited, later]) - fault_ended_at

    def resumed_s(self, kind: Kind, fault_ended_at: float) -> float | None:
        """Seconds after the fault's end at which the first job ended; None if none has."""
        ended = [entry.ended_at for entry in self.of(kind) if entry.ended_at is not None]
        after = [at - fault_ended_at for at in ended if at > fault_ended_at]
        return min(after, default=None)

    @contextmanager
    def followed(self, database: Database) -> Iterator[None]:
        """Look what has become of open entries, until the block ends."""
        stop = Event()

        def run() -> None:
            while not stop.wait(FOLLOW_EVERY_S):
                try:
                    self.follow(database)
                except MarketlensError as error:  # the database is what this fault is about
                    log.info("not followed: %s", error)

        thread = Thread(target=run, name="ledger")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def follow(self, database: Database) -> None:
        """Take in which open entries have ended, and whether searches have found what they must."""
        still_open = {entry.job_id: entry for entry in self.open()}
        for ids in chunks(still_open, 1_000):
            with database.read() as session:
                rows = session.execute(
                    select(Job.id, Job.status, Job.result).where(
                        Job.id.in_(ids), Job.status.in_(ENDED_STATUSES)
                    )
                ).all()
            for job_id, status, result in rows:
                self._end(still_open[job_id], status, result)

    def _end(self, entry: Entry, status: JobStatus, result: dict[str, object] | None) -> None:
        with self._lock:
            entry.status, entry.ended_at = status, monotonic()
            if status is not JobStatus.SUCCEEDED:
                self.wrong.append((entry.accepted_at, f"{entry.kind} {entry.job_id} {status}"))
            elif entry.kind is Kind.LISTING:
                self.findable[entry.listing_id] = entry.photo
            elif entry.listing_id in self.findable:
                found = [row.listing_id for row in SearchResult.model_validate(result).results]
                if found[:1] != [entry.listing_id]:
                    place = (
                        found.index(entry.listing_id) if entry.listing_id in found else "nowhere"
                    )
                    what = f"search {entry.job_id} found its listing at {place}"
                    self.wrong.append((entry.accepted_at, what))

    def verdict(self, database: Database, until: float, since: float = 0.0) -> Verdict:
        """Judge everything that was accepted in this time, by the database.

        What is lost and doubled is so for good: that is looked for in all that was ever accepted.
        """
        with self._lock:
            accepted = list(self.entries.values())
            known = list(self.findable)
            wrong = [what for at, what in self.wrong if since <= at <= until]
        entries = {e.job_id: e for e in accepted if since <= e.accepted_at <= until}
        with database.read() as session:
            jobs = {
                row.id: row
                for ids in chunks(entries, 1_000)
                for row in session.execute(
                    select(Job.id, Job.status, Job.done, Job.total).where(Job.id.in_(ids))
                )
            }
            listed = Counter(session.scalars(select(Listing.title)))
            listings = set(session.scalars(select(Listing.id)))
            unembedded = set(
                session.scalars(
                    select(ListingPhoto.listing_id)
                    .outerjoin(Embedding, Embedding.photo_id == ListingPhoto.photo_id)
                    .where(Embedding.photo_id.is_(None))
                )
            )
            embeds = Counter(
                photo_id
                for stored in session.scalars(select(Job.payload).where(Job.type == JobType.EMBED))
                for photo_id in EmbedPayload.parse(stored).photo_ids
            )
        lost = [f"{e.kind} {e.job_id} has no row" for e in entries.values() if e.job_id not in jobs]
        lost += [f"listing {one} is not there" for one in known if one not in listings]
        lost += [f"listing {one} is not embedded" for one in known if one in unembedded]
        doubled = [f"{count} listings {title!r}" for title, count in listed.items() if count > 1]
        doubled += [
            f"photo {one} has {count} embed jobs" for one, count in embeds.items() if count > 1
        ]
        doubled += [
            f"{row.id}: {row.done}/{row.total}" for row in jobs.values() if row.done > row.total
        ]
        stuck = [
            f"{entries[row.id].kind} {row.id} is {row.status}"
            for row in jobs.values()
            if row.status not in ENDED_STATUSES
        ]
        return Verdict(len(entries), lost, doubled, stuck, wrong)
