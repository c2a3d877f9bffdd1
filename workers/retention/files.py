"""Files that nothing names any more leave the photo store and the data folder.

The database is asked after the store was listed, and the age of a file immediately before it is
deleted (`db.store.photo_store`): so a photo that was stored before its row is kept.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from db.deployment import deployment_id
from db.retention.amounts import Amount
from db.retention.photos import hashes_with_prefix, named_by_jobs, named_by_saved_searches
from db.session import Database
from db.store.photo_store import PREFIXES, PhotoStore
from models.domain.durable_files import PART_SUFFIX
from models.domain.errors import NotFound
from workers.retention.steps import Pace

log = logging.getLogger(__name__)

STRANGERS_AT_ONCE: Final = 200_000
"""Photos without a row whose SHA-256 are in memory while it is looked up who names them: 25 MB."""
MARKER: Final = "deployment.txt"
"""In the photo store: whose it is."""
UNSURE_FROM: Final = 1_000
UNSURE_SHARE: Final = 0.5
"""A store that nobody has claimed, of whose many photos the database knows less than this, is
probably another database's."""
_STALE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Strangers:
    """Photos of the store that have no row, of so many that were looked at."""

    hashes: set[str]
    stored: int


def is_of_this_deployment(database: Database, store: PhotoStore, *, force: bool = False) -> bool:
    """Whether photos may be deleted here because this database does not know them.

    A store is claimed the first time, unless it seems to be another database's; `force` claims it
    in any case.
    """
    with database.read() as session:
        own = deployment_id(session)
    try:
        claimed_by = store.files.read(MARKER).decode("ascii", "replace").strip()
    except NotFound:
        claimed_by = ""
    if claimed_by == own:
        return True
    if not force and (claimed_by or _is_unsure(database, store)):
        log.error(
            "%s in the photo store: no file of it is deleted. If it is this database's alone, run "
            "`marketlens retention --force`.",
            "Another deployment's photos are" if claimed_by else "Many unknown photos are",
        )
        return False
    store.files.write(MARKER, own.encode())
    return True


def _is_unsure(database: Database, store: PhotoStore) -> bool:
    strangers = stored = 0
    for some in _strangers(database, store):
        stored += some.stored
        strangers += len(_unnamed(database, some.hashes))
    return stored >= UNSURE_FROM and strangers > UNSURE_SHARE * stored


def unused_files(database: Database, store: PhotoStore) -> Iterator[set[str]]:
    """The SHA-256 of stored photos that nothing names, however old, some at a time."""
    for some in _strangers(database, store):
        yield _unnamed(database, some.hashes)


def remove_unused_files(pace: Pace, store: PhotoStore) -> Amount:
    """Delete the stored photos that nothing names and that were not used for a day."""
    removed = Amount()
    for hashes in unused_files(pace.database, store):
        for digest in sorted(hashes):
            if pace.stop.is_set():
                return removed
            size = store.size_of(digest)
            if store.delete_old(digest, pace.clock()):
                removed += Amount(1, size)
                pace.on_removed(1)
    return removed


def unused_amount(database: Database, store: PhotoStore, now: datetime) -> Amount:
    """What `remove_unused_files` would delete now."""
    return sum(
        (
            Amount(1, store.size_of(digest))
            for hashes in unused_files(database, store)
            for digest in hashes
            if store.is_old(digest, now)
        ),
        Amount(),
    )


def _strangers(database: Database, store: PhotoStore) -> Iterator[Strangers]:
    """Stored photos without a row, from several prefixes at a time."""
    hashes: set[str] = set()
    stored = 0
    for prefix in PREFIXES:
        # Listed before rows are read: a photo's bytes are stored before its row.
        listed = store.digests_with(prefix)
        with database.read() as session:
            hashes |= listed - hashes_with_prefix(session, prefix)
        stored += len(listed)
        if len(hashes) >= STRANGERS_AT_ONCE:
            yield Strangers(hashes, stored)
            hashes, stored = set(), 0
    yield Strangers(hashes, stored)


def _unnamed(database: Database, hashes: set[str]) -> set[str]:
    """Those that no job and no saved search names. A page of jobs is read at a time."""
    left = set(hashes)
    position: tuple[datetime, UUID] | None = None
    while left:
        with database.read() as session:
            named = named_by_jobs(session, position)
        left -= named.hashes
        position = named.position
        if position is None:
            break
    with database.read() as session:
        return left - named_by_saved_searches(session)


def leftovers(store: PhotoStore, folders: list[Path], now: datetime) -> list[str | Path]:
    """Files that killed processes have left: paths in the store, and in folders of this machine."""
    in_store = (path for prefix in PREFIXES for path in store.list_prefix(prefix, now).leftovers)
    here = (
        path
        for folder in folders
        for path in folder.rglob(f".*{PART_SUFFIX}")
        if path.is_file() and now.timestamp() - path.stat().st_mtime > _STALE.total_seconds()
    )
    return [*in_store, *here]


def remove_leftovers(pace: Pace, store: PhotoStore, folders: list[Path]) -> Amount:
    """Delete what killed processes have left."""
    removed = Amount()
    for path in leftovers(store, folders, pace.clock()):
        if isinstance(path, Path):
            path.unlink(missing_ok=True)
        else:
            store.delete_leftover(path)
        removed += Amount(1)
        pace.on_removed(1)
    return removed
