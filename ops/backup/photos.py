"""Photos between a photo store and a destination, a 256th of all at a time, by several threads."""

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import Final

from db.store.photo_store import PhotoStore
from models.domain.errors import InvalidInput, NotFound

THREADS: Final = 8
"""Most of the time is spent waiting for the store or the disk."""
SHOWN: Final = 3
"""So many photos are named of those that something is wrong with."""

OnProgress = Callable[[int, int], None]


@dataclass
class Copied:
    """What was copied: photos and their bytes; and which were not there, or not what their names
    say.
    """

    added: int = 0
    bytes: int = 0
    absent: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def digests_in(*lists: Path) -> Iterator[tuple[str, list[str]]]:
    """The SHA-256 in lists, each in ascending order, by their first two characters; each once.

    Raises InvalidInput for a list that is no such list.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(path.open(encoding="ascii")) for path in lists]
        merged = merge(*(_lines(file) for file in files))
        for prefix, group in groupby(merged, key=lambda digest: digest[:2]):
            yield prefix, [digest for digest, _ in groupby(group)]


def copy_photos(
    groups: Iterable[tuple[str, list[str]]],
    source: PhotoStore,
    target: PhotoStore,
    *,
    now: datetime,
    total: int,
    recheck: bool,
    on_progress: OnProgress,
    beat: Callable[[], None] = lambda: None,
) -> Copied:
    """Copy the photos that the target lacks, and read back each; with `recheck`, also the others.

    Raises InvalidInput if what is read back is not what was written, and Unavailable.
    """
    copied, done = Copied(), 0
    with ThreadPoolExecutor(THREADS, "photos") as pool:
        for prefix, wanted in groups:
            there = target.list_prefix(prefix, now).digests.intersection(wanted)
            if recheck:
                there -= set(damaged_photos(pool, target, sorted(there)))
            missing = [digest for digest in wanted if digest not in there]
            done += len(wanted) - len(missing)
            copying = pool.map(lambda digest: _copy(digest, source, target), missing)
            for digest, outcome in zip(missing, copying, strict=True):
                _count(copied, digest, outcome)
                done += 1
                on_progress(done, total)
                beat()
            on_progress(done, total)
            beat()
    return copied


def missing_photos(
    groups: Iterable[tuple[str, list[str]]],
    store: PhotoStore,
    *,
    now: datetime,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Those of the photos whose file is not in the store; none is read."""
    for prefix, wanted in groups:
        beat()
        there = store.list_prefix(prefix, now).digests
        yield from (digest for digest in wanted if digest not in there)


def damaged_photos(
    pool: ThreadPoolExecutor, store: PhotoStore, digests: Collection[str]
) -> list[str]:
    """Those of the photos that are missing, or not what their names say: every one is read."""
    sound = pool.map(lambda digest: _is_sound(store, digest), digests)
    return [digest for digest, good in zip(digests, sound, strict=True) if not good]


def some_of(digests: Collection[str]) -> str:
    """A few of the names, for a sentence."""
    shown = ", ".join(sorted(digests)[:SHOWN])
    return f"{shown}, …" if len(digests) > SHOWN else shown


def _lines(file: Iterable[str]) -> Iterator[str]:
    before = ""
    for line in file:
        digest = line.rstrip("\n")
        if len(digest) != 64 or digest <= before:  # noqa: PLR2004 - of a SHA-256 in hexadecimal
            raise InvalidInput("The snapshot's list of photos is damaged.")
        before = digest
        yield digest


def _is_sound(store: PhotoStore, digest: str) -> bool:
    try:
        return sha256(store.get(digest)).hexdigest() == digest
    except NotFound:
        return False


def _copy(digest: str, source: PhotoStore, target: PhotoStore) -> int | None:
    """Copy one; its bytes, negative if they are not its own, None if it is not there."""
    try:
        data = source.get(digest)
    except NotFound:
        return None
    if sha256(data).hexdigest() != digest:
        return -1
    # What is there under this name was found to be damaged.
    if target.has(digest) and not _is_sound(target, digest):
        target.delete(digest)
    target.put(data)
    if not _is_sound(target, digest):
        raise InvalidInput(f"The photo {digest} was just written, and is not what was written.")
    return len(data)


def _count(copied: Copied, digest: str, outcome: int | None) -> None:
    if outcome is None:
        copied.absent.append(digest)
    elif outcome < 0:
        copied.damaged.append(digest)
    else:
        copied.added += 1
        copied.bytes += outcome
