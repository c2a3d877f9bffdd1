"""Removes old snapshots, and what no snapshot has any more."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from db.store.photo_store import PREFIXES
from models.domain.errors import MarketlensError
from ops.backup.destination import Destination
from ops.backup.photos import digests_in
from ops.backup.verify import photo_list


@dataclass
class Removed:
    """The snapshots that were removed, and how many files and photos with them.

    `why_not` says why files and photos were left for the next time.
    """

    snapshots: list[str] = field(default_factory=list)
    files: int = 0
    photos: int = 0
    why_not: str | None = None


def keep_newest(
    destination: Destination, keep: int, now: datetime, on_progress: Callable[[int, int], None]
) -> Removed:
    """Keep the newest snapshots, and remove what only older or unfinished ones have.

    What was stored within a day stays, and all of it while another snapshot is being written: it
    may be of one. Raises Unavailable.
    """
    complete = destination.snapshots()
    removed = Removed(complete[:-keep])
    for snapshot_id in removed.snapshots:
        destination.forget(snapshot_id)
    if others := destination.others_writing("", now):
        removed.why_not = f"another backup is being written: {', '.join(others)}"
        return removed
    try:
        _remove_unused(destination, complete[-keep:], removed, now, on_progress)
    except MarketlensError as error:
        # One whose files are not known: some of them may be among those to be removed.
        removed.why_not = str(error)
    return removed


def _remove_unused(
    destination: Destination,
    kept: list[str],
    removed: Removed,
    now: datetime,
    on_progress: Callable[[int, int], None],
) -> None:
    manifests = [destination.read(snapshot_id) for snapshot_id in kept]
    with ExitStack() as stack:
        lists = [stack.enter_context(photo_list(destination, manifest)) for manifest in manifests]
        named = digests_in(*lists)
        group = next(named, None)
        for done, prefix in enumerate(PREFIXES, 1):
            used: set[str] = set()
            if group is not None and group[0] == prefix:
                used, group = set(group[1]), next(named, None)
            stored = destination.photos.list_prefix(prefix, now)
            for digest in stored.digests - used:
                removed.photos += destination.photos.delete_old(digest, now)
            for path in stored.leftovers:
                destination.photos.delete_leftover(path)
            on_progress(done, len(PREFIXES))
    files = {file.sha256 for manifest in manifests for file in manifest.files}
    removed.files = destination.remove_files(files, now)
