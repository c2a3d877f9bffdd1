"""What has had its time is deleted, a few rows in each transaction, with a rest after each."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from time import monotonic
from typing import Final

from sqlalchemy.orm import Session

from db import idempotency
from db.access.audit_log import prune_entries
from db.events.forget import (
    HiddenPosition,
    any_expired,
    next_old_hidden,
    prune_events,
    remove_hidden,
)
from db.id_set import IdSet
from db.retention import encoders, jobs, logs, photos, small
from db.retention.erasures import erase_deleted, next_deleted
from db.retention.removed import Numbered
from db.session import Database
from db.statements import chunks
from workers.retention.policy import RetentionPolicy

log = logging.getLogger(__name__)

REST_S: Final = 0.2
"""Between two transactions, at least."""
SHARE: Final = 0.05
"""Of the time in which its transactions may be open: SQLite has one writer at a time, and others
that wait look only now and then whether it has ended. So few of them meet one that their 95th
percentile stays what it is."""
GRACE: Final = timedelta(hours=24)
"""What is younger may be of a transaction that has not ended, as a photo is before its listing."""
COMPACT_FROM: Final = 10_000
"""Changes of photos from which on it is looked how many are superseded."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A pass through what is to be deleted: on which database, when, and when to stop.

    `on_removed` is called with each number of rows that a transaction has deleted. After each it
    rests for `rest_s`, and so long that transactions take this `share` of the time at most; with 0
    it does not rest.
    """

    database: Database
    clock: Callable[[], datetime]
    stop: Event
    on_removed: Callable[[int], None] = lambda _: None
    rest_s: float = REST_S
    share: float = SHARE

    def write(self, remove: Callable[[Session], int]) -> int:
        """Delete in one transaction, and rest; returns how many."""
        began = monotonic()
        with self.database.write() as session:
            removed = remove(session)
        self.on_removed(removed)
        self.rest(began)
        return removed

    def rest(self, began: float) -> None:
        """Let others write after a transaction that has begun then."""
        if self.rest_s:
            self.stop.wait(max(self.rest_s, (monotonic() - began) * (1 / self.share - 1)))

    def repeat(self, is_due: Callable[[Session], bool], remove: Callable[[Session], int]) -> int:
        """Delete as long as something is due; returns how many.

        Asked before writing, so that who is idle takes no write lock.
        """
        total = 0
        while not self.stop.is_set():
            with self.database.read() as session:
                if not is_due(session):
                    break
            removed = self.write(remove)
            total += removed
            if not removed:
                break
        return total


def remove_events(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the events that are older than they are kept; returns how many."""
    return pace.repeat(
        lambda session: any_expired(session, pace.clock() - policy.events),
        lambda session: prune_events(session, pace.clock() - policy.events),
    )


def remove_hidden_events(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete what users have hidden so long ago, where it is not for sale any more."""
    kept_since = pace.clock() - policy.events
    position: HiddenPosition | None = None
    total = 0
    while not pace.stop.is_set():
        with pace.database.read() as session:
            position, numbers = next_old_hidden(session, kept_since, position)
        for chunk in chunks(numbers, 500):
            total += pace.write(partial(remove_hidden, numbers=chunk))
        if position is None:
            break
    return total


def remove_jobs(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the jobs that ended before they are kept; returns how many.

    Children first, and their parents in the same pass or the next.
    """
    before = pace.clock() - policy.jobs
    total = 0
    position: jobs.JobPosition | None = None
    with pace.database.read() as session:
        kept = jobs.last_of_types(session)
    while not pace.stop.is_set():
        with pace.database.read() as session:
            due = jobs.next_ended(session, before, kept, position)
        if not due:
            break
        position = due[-1]
        ids = [one.job_id for one in due]
        total += pace.write(partial(jobs.remove_jobs, job_ids=ids, before=before))
    return total


def remove_idempotency_keys(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the keys whose answers are not given again any more."""
    del policy
    return pace.repeat(
        lambda session: idempotency.any_expired(session, pace.clock()),
        lambda session: idempotency.purge_expired(session, pace.clock()),
    )


def remove_deleted_listings(pace: Pace, policy: RetentionPolicy) -> int:
    """Erase the listings that were deleted before they are kept; returns how many."""
    before = pace.clock() - policy.deleted_listings
    return pace.repeat(
        lambda session: bool(next_deleted(session, before)),
        lambda session: erase_deleted(session, before, pace.clock()),
    )


def remove_changes(pace: Pace, policy: RetentionPolicy, numbered: Numbered) -> int:
    """Delete the changes of a log that all who follow it have passed; returns how many."""

    def up_to(session: Session) -> int:
        return logs.passed(session, numbered, shared_index=policy.shared_index)

    return pace.repeat(
        lambda session: logs.any_passed(session, numbered, up_to(session)),
        lambda session: logs.remove_passed(session, numbered, up_to(session)),
    )


class Compaction:
    """Deletes changes of photos that a later one of the same photo repeats.

    All are read for it, at most once for each doubling.
    """

    def __init__(self) -> None:
        self._due_at = COMPACT_FROM

    def __call__(self, pace: Pace, policy: RetentionPolicy) -> int:
        """Delete those that are superseded if there may be many; returns how many."""
        del policy
        with pace.database.read() as session:
            count = logs.count_changes(session)
        if count < self._due_at:
            return 0
        total = sum(
            pace.write(partial(logs.remove_superseded, numbers=numbers))
            for numbers in _superseded(pace)
        )
        self._due_at = max(COMPACT_FROM, 2 * (count - total))
        return total


def _superseded(pace: Pace) -> Iterator[list[int]]:
    seen = IdSet()
    below = 2**62
    while below and not pace.stop.is_set():
        with pace.database.read() as session:
            below, numbers = logs.superseded(session, below, seen)
        if numbers:
            yield numbers


def remove_photos(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the photos that no listing has any more, with their vectors; returns how many."""
    del policy
    total = 0
    for photo_ids in orphans(pace):
        for chunk in chunks(photo_ids, photos.AT_ONCE):
            total += pace.write(partial(_remove_orphans, photo_ids=chunk))
    return total


def _remove_orphans(session: Session, photo_ids: Sequence[int]) -> int:
    return len(photos.remove_orphans(session, photo_ids))


def orphans(pace: Pace, grace: timedelta = GRACE) -> Iterator[list[int]]:
    """The ids of photos that no listing has, as many at a time as are looked at together."""
    last: int | None = 0
    while last is not None and not pace.stop.is_set():
        with pace.database.read() as session:
            last, found = photos.next_orphans(session, last, pace.clock() - grace)
        yield found


def remove_encoder_vectors(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the vectors of encoders that were retired before these are kept; returns how many."""
    before = pace.clock() - policy.retired_encoders
    with pace.database.read() as session:
        expired = encoders.expired_encoders(session, before)
    return sum(
        pace.repeat(
            partial(encoders.any_vectors, encoder_id=encoder_id),
            partial(encoders.remove_vectors, encoder_id=encoder_id, before=before),
        )
        for encoder_id in expired
    )


def encoders_without_index(pace: Pace, policy: RetentionPolicy) -> list[int]:
    """The encoders that were retired so long ago that no index of them is kept."""
    with pace.database.read() as session:
        return encoders.retired_encoders(session, pace.clock() - policy.retired_encoders)


def remove_generation_rows(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the rows of generations that have been no more for as long as jobs are kept."""
    before = pace.clock() - policy.jobs
    return pace.repeat(
        lambda session: encoders.any_generation_rows(session, before),
        lambda session: encoders.remove_generation_rows(session, before),
    )


def remove_places(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete what geocoders said so long ago; returns how many."""
    before = pace.clock() - policy.places
    return pace.repeat(
        lambda session: small.any_places(session, before),
        lambda session: small.remove_places(session, before),
    )


def remove_erasures(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the notes of erasures that have ended so long ago; returns how many."""
    before = pace.clock() - policy.audit
    return pace.repeat(
        lambda session: small.any_erasures(session, before),
        lambda session: small.remove_erasures(session, before),
    )


def remove_audit(pace: Pace, policy: RetentionPolicy) -> int:
    """Delete the entries of the audit log that are older than they are kept; returns how many."""
    before = pace.clock() - policy.audit
    return pace.repeat(
        lambda session: small.any_audit(session, before),
        lambda session: prune_entries(session, before, small.AT_ONCE),
    )
