"""Erasures are brought to their end: what is left of them is looked for everywhere.

Each step may be done again, and the erasure's row says what is looked for until all of them were
done: a process that is killed meanwhile leaves nothing undone.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from db.jobs import accepting
from db.retention import scrub
from db.retention.erasures import (
    ErasureKind,
    Pending,
    end_erasures,
    pending_erasures,
    set_pending,
)
from db.retention.holding import held_live, last_gone, retire_holding
from db.retention.photos import (
    AT_ONCE,
    known_hashes,
    named_by_jobs,
    named_by_saved_searches,
    remove_orphans,
)
from db.statements import chunks
from db.store.photo_store import PhotoStore
from db.vectors.generations import reindex_failed_since
from models.columns.snapshot import SnapshotUnusable, load_columns
from models.domain.errors import ReindexRunning
from models.domain.job_payloads import ReindexPayload
from workers.generations.auto_reindex import BACKOFF_AFTER_FAILURE
from workers.generations.prune import remove_unused_files
from workers.retention.sqlite_file import is_clean
from workers.retention.steps import Pace
from workers.retention.steps import orphans as next_orphans

log = logging.getLogger(__name__)

IN_FLIGHT: Final = timedelta(hours=1)
"""A photo that was stored or found within this time may be about to be given to a listing."""
REBUILT_WITHIN: Final = timedelta(days=1)
"""From then on an index is asked for that does not hold what was erased, unless one was built."""


AT_ONCE_WITHIN: Final = timedelta(seconds=10)
NO_GRACE: Final = timedelta(days=-1)
"""A photo's row is committed with the listing that has it."""
_ANY_AGE: Final = timedelta(days=-365_000)
IN_USE: Final = (
    "the database's file is to be written anew (`marketlens retention --vacuum` if it is large)"
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where files are, beside the database; `folders` may have unfinished ones."""

    store: PhotoStore
    generations_dir: Path
    columns_file: Path
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Why traces of an erasure are left, for a person."""

    erasure_id: int
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Left:
    """What could not be removed yet: jobs that run, photos, and generations."""

    running: bool = False
    photos: set[str] = field(default_factory=set)
    generations: set[int] = field(default_factory=set)

    def reasons(self, pending: Pending) -> Iterator[str]:
        if self.running:
            yield "a job is running that may have read it"
        if self.photos & set(pending.photos):
            yield "files of photos were used within the last hour, are asked about, or being copied"
        if self.generations & set(pending.generations):
            yield "the index is to be rebuilt without it"


def count_pending(pace: Pace, kinds: Sequence[ErasureKind]) -> int:
    """How many erasures of these kinds are to be gone on with."""
    with pace.database.read() as session:
        return len(pending_erasures(session, kinds))


def finish_erasures(
    pace: Pace,
    places: Places,
    kinds: Sequence[ErasureKind],
    *,
    rebuild: bool = False,
    clean: bool = True,
    rewrite: bool = False,
) -> list[Unfinished]:
    """Look for what is left of all erasures of these kinds; those of which something still is.

    With `rebuild`, an index that holds erased vectors is asked for at once. Without `clean`, the
    database's file is left alone, and no erasure ends on SQLite; with `rewrite` it is cleaned
    however large it is.
    """
    with pace.database.read() as session:
        rows = pending_erasures(session, kinds)
    if not rows:
        return []
    pending = {row.id: Pending.model_validate(row.pending or {}) for row in rows}
    requested = [row.requested_at for row in rows]
    left = _Left()
    pending = _scrub(pace, places.columns_file, pending, max(requested), left)
    of_listings = {
        photo
        for row in rows
        if row.kind == ErasureKind.LISTING.value
        for photo in pending[row.id].photos
    }
    left.photos = _remove_photos(pace, places.store, pending.values(), of_listings)
    ask = rebuild or pace.clock() - min(requested) > REBUILT_WITHIN
    left.generations = _leave_generations(pace, places, pending.values(), ask=ask)
    reasons = {erasure_id: tuple(left.reasons(one)) for erasure_id, one in pending.items()}
    done = {erasure_id: pending[erasure_id] for erasure_id, why in reasons.items() if not why}
    if done and not _end(pace, done, clean=clean, rewrite=rewrite):
        reasons |= dict.fromkeys(done, (IN_USE,))
    return [Unfinished(erasure_id, why) for erasure_id, why in reasons.items() if why]


def _scrub(
    pace: Pace,
    columns_file: Path,
    pending: Mapping[int, Pending],
    requested_at: datetime,
    left: _Left,
) -> dict[int, Pending]:
    """Take what is erased out of all rows; what is left to be looked for, by erasure."""
    todo = [one for one in pending.values() if not one.scrubbed]
    if not todo:
        return dict(pending)
    with pace.database.read() as session:
        # Asked first: what began later has not read it.
        left.running = scrub.any_running_since(session, requested_at)
    if left.running and pace.clock() - requested_at > AT_ONCE_WITHIN:
        # It was looked for once; all jobs are read again when what runs has ended.
        return dict(pending)
    # Deleted listings were not shown any more for as long as jobs are kept: they name none.
    of_listings = [one for one in todo if one.listings]
    if of_listings:
        left.running |= not _scrub_jobs(pace, of_listings)
        _scrub_answers(pace, of_listings)
    _remove_events(pace, todo)
    _forget_places(pace, todo)
    _forget_columns(pace, columns_file, todo)
    if left.running:
        return dict(pending)
    # Those that a listing had before it had others are among them.
    orphans = _remove_orphans(pace) if of_listings else ()
    scrubbed = {
        erasure_id: Pending(
            photos=(*one.photos, *(orphans if one.listings else ())),
            generations=one.generations,
            scrubbed=True,
        )
        for erasure_id, one in pending.items()
    }
    with pace.database.write() as session:
        set_pending(session, scrubbed)
    return scrubbed


def _end(pace: Pace, done: Mapping[int, Pending], *, clean: bool, rewrite: bool) -> bool:
    """End erasures of which nothing is left but their own notes; whether that was possible now."""
    nothing = Pending(scrubbed=True)
    if any(one != nothing for one in done.values()):
        with pace.database.write() as session:
            set_pending(session, dict.fromkeys(done, nothing))
    if not is_clean(pace, clean=clean, rewrite=rewrite):
        return False
    with pace.database.write() as session:
        end_erasures(session, list(done), pace.clock())
    log.info("nothing is left of %s erasures", len(done))
    return True


def _remove_orphans(pace: Pace) -> tuple[str, ...]:
    """Delete the photos that no listing has, with their vectors; their SHA-256."""
    found: list[str] = []
    for photo_ids in next_orphans(pace, NO_GRACE):
        for some in chunks(photo_ids, AT_ONCE):
            with pace.database.write() as session:
                found += remove_orphans(session, some).values()
    return tuple(sorted(found))


def _scrub_jobs(pace: Pace, pending: Collection[Pending]) -> bool:
    """Take what is erased out of jobs; whether nothing of it is left."""
    listings = {str(listing) for one in pending for listing in one.listings}
    photos = {photo for one in pending for photo in one.photos}
    position: tuple[datetime, UUID] | None = None
    complete = True
    while not pace.stop.is_set():
        with pace.database.read() as session:
            page = scrub.jobs_naming(session, listings | photos, position)
        for job_id in page.naming:
            with pace.database.write() as session:
                complete &= scrub.scrub_job(session, job_id, listings, photos, pace.clock())
        position = page.position
        if position is None:
            return complete
    return False


def _scrub_answers(pace: Pace, pending: Collection[Pending]) -> None:
    traces = {str(listing) for one in pending for listing in one.listings}
    position: tuple[str, str] | None = None
    while traces and not pace.stop.is_set():
        with pace.database.read() as session:
            page = scrub.answers_naming(session, traces, position)
        if page.naming:
            pace.write(partial(scrub.remove_answers, keys=page.naming))
        position = page.position
        if position is None:
            return


def _remove_events(pace: Pace, pending: Collection[Pending]) -> None:
    """Delete that erased listings were shown or hidden."""
    listings = {number for one in pending for number in one.numbers}
    last: int | None = 0
    while listings and last is not None and not pace.stop.is_set():
        with pace.database.read() as session:
            last, numbers = scrub.events_of_listings(session, listings, last)
        if numbers:
            pace.write(partial(scrub.remove_events, numbers=numbers))


def _forget_places(pace: Pace, pending: Collection[Pending]) -> None:
    names = {name for one in pending for name in one.places}
    if names:
        with pace.database.write() as session:
            scrub.remove_places(session, names)


def _remove_photos(
    pace: Pace, store: PhotoStore, pending: Collection[Pending], of_listings: Collection[str]
) -> set[str]:
    """Delete the files of erased photos that nothing else names; those that stay for now.

    What a user has asked with, others may have asked with, too: theirs stays. A photo of an erased
    listing is a trace, which jobs name only while somebody waits for them.
    """
    photos = {photo for one in pending for photo in one.photos}
    stored = {photo for photo in photos if store.is_old(photo, pace.clock(), _ANY_AGE)}
    old = {photo for photo in stored if store.is_old(photo, pace.clock(), IN_FLIGHT)}
    waiting = stored - old
    if not old:
        return waiting
    with pace.database.read() as session:
        # Somebody else's by now: they stay, and are no trace.
        kept = known_hashes(session, sorted(old)) | named_by_saved_searches(session)
    named = _named_by_jobs(pace, old - kept)
    waiting |= named.intersection(of_listings)
    for photo in sorted(old - kept - named):
        if not store.delete_old(photo, pace.clock(), IN_FLIGHT):
            waiting.add(photo)
    return waiting


def _named_by_jobs(pace: Pace, photos: Collection[str]) -> set[str]:
    """Those of the photos that some job names."""
    found: set[str] = set()
    position: tuple[datetime, UUID] | None = None
    while True:
        with pace.database.read() as session:
            named = named_by_jobs(session, position)
        found |= named.hashes.intersection(photos)
        position = named.position
        if position is None:
            return found


def _leave_generations(
    pace: Pace, places: Places, pending: Collection[Pending], *, ask: bool
) -> set[int]:
    """Stop keeping generations that hold what was erased; those that still serve."""
    ids = sorted({generation for one in pending for generation in one.generations})
    if not ids:
        return set()
    with pace.database.write() as session:
        retire_holding(session, ids)
    remove_unused_files(pace.database, places.generations_dir, places.store)
    with pace.database.read() as session:
        live = held_live(session, ids)
        ask &= not reindex_failed_since(session, pace.clock() - BACKOFF_AFTER_FAILURE)
    for encoder_id in sorted(set(live.values())) if ask else ():
        # One that is open begins anew with what is there then, or another one follows.
        with suppress(ReindexRunning), pace.database.write() as session:
            accepting.accept(
                session,
                ReindexPayload(encoder_id=encoder_id),
                job_id=uuid4(),
                now=pace.clock(),
            )
    here = {number for number in ids if (places.generations_dir / str(number)).exists()}
    return set(live) | here


def _forget_columns(pace: Pace, file: Path, pending: Collection[Pending]) -> None:
    """Delete the file of columns if it was written before: the next process writes it anew."""
    if not any(one.numbers for one in pending):
        return
    with suppress(SnapshotUnusable):
        columns, _ = load_columns(file)
        with pace.database.read() as session:
            gone = last_gone(session, [number for one in pending for number in one.numbers])
        if columns.last_change < gone:
            file.unlink(missing_ok=True)
