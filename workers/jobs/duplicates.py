"""The duplicates job: listings that show the same photo or the same item, in clusters."""

from collections.abc import Callable
from datetime import datetime

from db.jobs import attempts
from db.jobs.claiming import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from workers.jobs.heartbeat import Heartbeat
from workers.near_duplicates.find import OpenIndex, find_duplicates


def run_duplicates(
    claim: Claim,
    *,
    database: Database,
    store: PhotoStore,
    open_index: OpenIndex,
    heartbeat: Heartbeat,
    clock: Callable[[], datetime],
) -> None:
    """Do a duplicates job, and end it with what was found. Raises as `find_duplicates` does."""
    progress: dict[str, tuple[int, int]] = {}

    def on_progress(step: str, done: int, total: int) -> None:
        progress[step] = done, total
        heartbeat(*map(sum, zip(*progress.values(), strict=True)))

    found = find_duplicates(database, store, open_index, on_progress)
    total = sum(total for _, total in progress.values())
    with database.write() as session:
        attempts.finish(session, claim, clock(), result=found.to_result(), done=total, total=total)
