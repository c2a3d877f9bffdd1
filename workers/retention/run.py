"""Retention: each kind of what has had its time is looked for, each at its own interval."""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

from db.retention.erasures import ErasureKind
from db.retention.removed import Numbered
from models.domain.errors import Unavailable
from workers.generations.prune import prune
from workers.retention import files, steps
from workers.retention.erasing import IN_USE, Places, Unfinished, count_pending, finish_erasures
from workers.retention.kinds import Kind
from workers.retention.policy import RetentionPolicy
from workers.retention.steps import Pace

log = logging.getLogger(__name__)

MINUTE_S: Final = 60.0
HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0
LOOK_EVERY_S: Final = 5.0
"""For what was erased by request."""
FIRST_DAILY_AFTER_S: Final = 600.0
"""What reads everything is not done by a process that has only just started."""

EVERY_S: Final = {
    Kind.EVENTS: MINUTE_S,
    Kind.JOBS: MINUTE_S,
    Kind.DELETED_LISTINGS: MINUTE_S,
    Kind.LISTING_CHANGES: MINUTE_S,
    Kind.CHANGES: MINUTE_S,
    Kind.SAVED_SEARCH_CHANGES: MINUTE_S,
    Kind.IDEMPOTENCY_KEYS: MINUTE_S,
    Kind.GENERATIONS: HOUR_S,
    Kind.GENERATION_ROWS: HOUR_S,
    Kind.ENCODER_VECTORS: HOUR_S,
    Kind.PLACES: HOUR_S,
    Kind.AUDIT: HOUR_S,
    Kind.ERASURES: HOUR_S,
    Kind.HIDDEN: DAY_S,
    Kind.PHOTOS: DAY_S,
    Kind.PHOTO_FILES: DAY_S,
    Kind.UNFINISHED_FILES: DAY_S,
}
"""How often it is looked for each kind, in this order."""
BY_REQUEST: Final = (ErasureKind.LISTING, ErasureKind.USER)


@dataclass(frozen=True, slots=True)
class Retention:
    """Removes what has had its time."""

    pace: Pace
    places: Places
    policy: RetentionPolicy
    compact: steps.Compaction

    @classmethod
    def of(cls, pace: Pace, places: Places, policy: RetentionPolicy) -> "Retention":
        """Retention of a deployment."""
        return cls(pace, places, policy, steps.Compaction())

    def remove(self, kind: Kind) -> int:
        """Remove all of a kind that has had its time; returns how many. Raises Unavailable."""
        return self._work[kind]()

    def finish(
        self,
        kinds: Sequence[ErasureKind],
        *,
        clean: bool,
        rebuild: bool = False,
        rewrite: bool = False,
    ) -> list[Unfinished]:
        """Go on with erasures of these kinds; see `finish_erasures`."""
        return finish_erasures(
            self.pace, self.places, kinds, clean=clean, rebuild=rebuild, rewrite=rewrite
        )

    @property
    def _work(self) -> Mapping[Kind, Callable[[], int]]:
        rows: dict[Kind, Callable[[Pace, RetentionPolicy], int]] = {
            Kind.EVENTS: steps.remove_events,
            Kind.JOBS: steps.remove_jobs,
            Kind.DELETED_LISTINGS: steps.remove_deleted_listings,
            Kind.LISTING_CHANGES: partial(steps.remove_changes, numbered=Numbered.LISTING_CHANGES),
            Kind.SAVED_SEARCH_CHANGES: partial(
                steps.remove_changes, numbered=Numbered.SAVED_SEARCH_CHANGES
            ),
            Kind.IDEMPOTENCY_KEYS: steps.remove_idempotency_keys,
            Kind.GENERATION_ROWS: steps.remove_generation_rows,
            Kind.ENCODER_VECTORS: steps.remove_encoder_vectors,
            Kind.PLACES: steps.remove_places,
            Kind.AUDIT: steps.remove_audit,
            Kind.ERASURES: steps.remove_erasures,
            Kind.HIDDEN: steps.remove_hidden_events,
            Kind.PHOTOS: steps.remove_photos,
        }
        return {kind: partial(work, self.pace, self.policy) for kind, work in rows.items()} | {
            Kind.CHANGES: self._remove_changes,
            Kind.GENERATIONS: self._remove_generations,
            Kind.PHOTO_FILES: self._remove_photo_files,
            Kind.UNFINISHED_FILES: self._remove_unfinished,
        }

    def _remove_changes(self) -> int:
        passed = steps.remove_changes(self.pace, self.policy, Numbered.CHANGES)
        return passed + self.compact(self.pace, self.policy)

    def _remove_generations(self) -> int:
        database, places = self.pace.database, self.places
        folder, store = places.generations_dir, places.store
        retired = steps.encoders_without_index(self.pace, self.policy)
        removed = prune(database, folder, store, keep=0, encoder_ids=retired).retired
        removed += prune(database, folder, store, keep=self.policy.generations).retired
        return len(removed)

    def _remove_photo_files(self) -> int:
        if not files.is_of_this_deployment(self.pace.database, self.places.store):
            return 0
        return files.remove_unused_files(self.pace, self.places.store).count

    def _remove_unfinished(self) -> int:
        folders = list(self.places.folders)
        return files.remove_leftovers(self.pace, self.places.store, folders).count


def run_retention(retention: Retention) -> None:
    """Remove what has had its time, until `stop` of the pace is set."""
    stop = retention.pace.stop
    due = _Due()
    while not stop.is_set():
        with _logged("erasures"):
            _go_on_erasing(retention, due)
        for kind in EVERY_S:
            if not stop.is_set() and due.is_due(kind.value, EVERY_S[kind]):
                with _logged(kind.value):
                    removed = retention.remove(kind)
                    if removed:
                        extra = {"kind": kind.value, "removed": removed}
                        log.info(
                            "%s %s have left after their time", removed, kind.value, extra=extra
                        )
        stop.wait(LOOK_EVERY_S)


def _go_on_erasing(retention: Retention, due: "_Due") -> None:
    pending = count_pending(retention.pace, BY_REQUEST)
    if pending:
        # Cleaning the database's file of words takes seconds of writing.
        clean = due.may_be("cleaning")
        unfinished = retention.finish(BY_REQUEST, clean=clean)
        if clean and len(unfinished) < pending:
            due.postpone("cleaning", HOUR_S)
        elif clean and any(IN_USE in one.reasons for one in unfinished):
            due.postpone("cleaning", MINUTE_S)
        for one in unfinished if due.is_due("telling", MINUTE_S) else ():
            log.info("erasure %s goes on: %s", one.erasure_id, "; ".join(one.reasons))
    if due.is_due("deleted", DAY_S):
        retention.finish([ErasureKind.DELETED], clean=True)


class _Due:
    """When what was done last, in this process."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._next: dict[str, float] = {}

    def is_due(self, what: str, every_s: float) -> bool:
        """Whether it is time for it; then it is not until so many seconds later."""
        first = self._began + (FIRST_DAILY_AFTER_S if every_s == DAY_S else 0.0)
        if monotonic() < self._next.get(what, first):
            return False
        self.postpone(what, every_s)
        return True

    def may_be(self, what: str) -> bool:
        """Whether it is time for it, which may not be done all the same."""
        return monotonic() >= self._next.get(what, self._began)

    def postpone(self, what: str, by_s: float) -> None:
        """State that it is not time for it until so many seconds later."""
        self._next[what] = monotonic() + by_s


@contextmanager
def _logged(what: str) -> Generator[None]:
    """Log what breaks: everything else goes on, and it is tried again."""
    try:
        yield
    except Unavailable as error:
        log.warning("%s Trying again.", error)
    except Exception:
        log.exception("%s that have had their time could not be removed", what)
