"""Erasures are brought to their end: what is left of them is looked for everywhere.

Each step may be done again, and the erasure's row says what is looked for until all of them were
done: a process that is killed meanwhile leaves nothing undone.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
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
    forget_pending,
    pending_erasures,
)
from db.retention.holding import held_live, last_gone, retire_holding
from db.retention.photos import known_hashes, named_by_jobs, named_by_saved_searches
from db.store.photo_store import PhotoStore
from db.vectors.generations import reindex_failed_since
from models.columns.snapshot import SnapshotUnusable, load_columns
from models.domain.errors import ReindexRunning
from models.domain.job_payloads import ReindexPayload
from workers.generations.auto_reindex import BACKOFF_AFTER_FAILURE
from workers.generations.prune import remove_unused_files
from workers.retention.sqlite_file import is_clean
from workers.retention.steps import Pace

log = logging.getLogger(__name__)

IN_FLIGHT: Final = timedelta(hours=1)
"""A photo that was stored or found within this time may be about to be given to a listing."""
REBUILT_WITHIN: Final = timedelta(days=1)
"""From then on an index is asked for that does not hold what was erased, unless one was built."""


IN_USE: Final = "the database's file is to be cleaned"


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


def is_any_pending(pace: Pace, kinds: Sequence[ErasureKind]) -> bool:
    """Whether erasures of these kinds are to be gone on with."""
    with pace.database.read() as session:
        return bool(pending_erasures(session, kinds))


def finish_erasures(
    pace: Pace,
    places: Places,
    kinds: Sequence[ErasureKind],
    *,
    rebuild: bool = False,
    clean: bool = True,
) -> list[Unfinished]:
    """Look for what is left of all erasures of these kinds; those of which something still is.

    With `rebuild`, an index that holds erased vectors is asked for at once. Without `clean`, the
    database's file is left alone, and no erasure ends on SQLite.
    """
    with pace.database.read() as session:
        rows = pending_erasures(session, kinds)
        pending = {row.id: Pending.model_validate(row.pending or {}) for row in rows}
        requested = {row.id: row.requested_at for row in rows}
    if not pending:
        return []
    left = _Left()
    with pace.database.read() as session:
        left.running = scrub.any_running_since(session, max(requested.values()))
    everything = list(pending.values())
    # Deleted listings were not shown any more for as long as jobs are kept.
    of_listings = [one for one in everything if one.listings]
    if of_listings:
        left.running |= not _scrub_jobs(pace, of_listings)
        _scrub_answers(pace, of_listings)
    _remove_events(pace, everything)
    _forget_places(pace, everything)
    left.photos = _remove_photos(pace, places.store, everything)
    due = rebuild or pace.clock() - min(requested.values()) > REBUILT_WITHIN
    left.generations = _leave_generations(pace, places, everything, ask=due)
    _forget_columns(pace, places.columns_file, everything)
    reasons = {erasure_id: tuple(left.reasons(one)) for erasure_id, one in pending.items()}
    done = [erasure_id for erasure_id, why in reasons.items() if not why]
    if done and not _end(pace, done, clean=clean):
        reasons |= dict.fromkeys(done, (IN_USE,))
    return [Unfinished(erasure_id, why) for erasure_id, why in reasons.items() if why]


def _end(pace: Pace, erasure_ids: Sequence[int], *, clean: bool) -> bool:
    """End erasures of which nothing is left but their own notes; whether that was possible now."""
    with pace.database.write() as session:
        forget_pending(session, erasure_ids)
    if not is_clean(pace, clean=clean):
        return False
    with pace.database.write() as session:
        end_erasures(session, erasure_ids, pace.clock())
    log.info("nothing is left of %s erasures", len(erasure_ids))
    return True


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


def _remove_photos(pace: Pace, store: PhotoStore, pending: Collection[Pending]) -> set[str]:
    """Delete the files of erased photos that nothing else names; those that stay for now."""
    photos = {photo for one in pending for photo in one.photos}
    if not photos:
        return set()
    with pace.database.read() as session:
        # Somebody else's by now: they stay, and are no trace.
        kept = known_hashes(session, sorted(photos)) | named_by_saved_searches(session)
    waiting: set[str] = set()
    position: tuple[datetime, UUID] | None = None
    while True:
        with pace.database.read() as session:
            named = named_by_jobs(session, position)
        waiting |= named.hashes & photos
        position = named.position
        if position is None:
            break
    # What a user has asked with, others may have asked with, too; of a listing it is a trace.
    of_listings = {photo for one in pending if one.listings for photo in one.photos}
    kept |= waiting - of_listings
    waiting -= kept
    for photo in sorted(photos - kept - waiting):
        if not store.delete_old(photo, pace.clock(), IN_FLIGHT) and store.is_old(
            photo, pace.clock(), timedelta(days=-365_000)
        ):
            waiting.add(photo)
    return waiting


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
