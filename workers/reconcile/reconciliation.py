"""Compare database, photo store and index, and mend what can be mended, while all are in use.

The database is the truth. Photos are compared a 256th of the store at a time, so that memory stays
bounded however many there are.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from db import audit
from db.session import Database
from db.statements import chunks
from db.store.photo_store import PREFIXES, PhotoStore
from db.tables import Encoder, Generation
from db.vectors import generations
from db.vectors.embeddings import count_live, photos_to_queue
from db.vectors.encoders import active_encoder
from models.domain.errors import GenerationCorrupt, NotFound, ReindexRunning, Unavailable
from models.domain.types import GenerationStatus
from models.index.checksums import verify_generation
from workers.generations.prune import sweep, unused_folders, unused_published
from workers.generations.publish import published_manifest
from workers.reconcile.findings import Kind, Notes, Reconciliation

OnProgress = Callable[[str, int, int], None]
"""Called with what is being compared, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """What a repair asks of the rest of the machine.

    `queue_missing` accepts jobs for the photos that are neither embedded nor in a job, and
    `request_reindex` accepts a reindex; it may raise ReindexRunning.
    """

    queue_missing: Callable[[], object]
    request_reindex: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Machine:
    """What is compared: of embeddings and indexes, those that searches are made with."""

    database: Database
    store: PhotoStore
    generations_dir: Path


def reconcile(
    machine: Machine,
    *,
    now: datetime,
    repairs: Repairs | None,
    verify: bool,
    on_progress: OnProgress,
) -> Reconciliation:
    """Compare everything, and with `repairs` mend it; without, nothing is changed.

    `verify` reads and hashes every stored photo too. Raises Unavailable.
    """
    notes = Notes()
    for done, prefix in enumerate(PREFIXES):
        on_progress("photos", done, len(PREFIXES))
        _compare_photos(notes, machine, prefix, now, verify=verify, repair=repairs is not None)
    on_progress("photos", len(PREFIXES), len(PREFIXES))
    with machine.database.read() as session:
        encoder = active_encoder(session)
    _compare_embeddings(notes, machine, encoder, repairs)
    on_progress("index", 0, 1)
    if encoder is not None:
        _compare_live_generation(notes, machine, encoder, repairs)
    _compare_generations(notes, machine, repair=repairs is not None)
    on_progress("index", 1, 1)
    return notes.result()


def _compare_photos(
    notes: Notes, machine: Machine, prefix: str, now: datetime, *, verify: bool, repair: bool
) -> None:
    # The rows come first: when a photo has one, its bytes are there.
    with machine.database.read() as session:
        rows = audit.photos_under(session, prefix)
    shelf = machine.store.list_prefix(prefix, now)
    stored = shelf.digests
    notes.photos += len(rows)
    notes.stored += len(stored)

    damaged = [digest for digest in sorted(stored) if verify and _is_damaged(machine.store, digest)]
    notes.add(Kind.DAMAGED_PHOTOS, damaged, repaired=repair)
    notes.add(Kind.LEFTOVERS, shelf.leftovers, repaired=repair)
    if repair:
        for digest in damaged:
            machine.store.delete(digest)
        for path in shelf.leftovers:
            machine.store.delete_leftover(path)
        stored = stored.difference(damaged)

    shown = (digest for digest, is_shown in rows.items() if is_shown)
    notes.add(Kind.MISSING_PHOTOS, sorted(digest for digest in shown if digest not in stored))
    orphans = _orphans(machine, stored.difference(rows), now, delete=repair)
    notes.add(Kind.ORPHANED_PHOTOS, orphans, repaired=repair)


def _is_damaged(store: PhotoStore, digest: str) -> bool:
    try:
        return sha256(store.get(digest)).hexdigest() != digest
    except NotFound:
        return False


def _orphans(
    machine: Machine, digests: Collection[str], now: datetime, *, delete: bool
) -> Iterator[str]:
    """Those of the photos that nothing names and that are too old to be named soon."""
    # What is looked at last is the age: `db.store.photo_store` says why that is safe.
    take = machine.store.delete_old if delete else machine.store.is_old
    for chunk in chunks(sorted(digests)):
        with machine.database.read() as session:
            named = audit.named(session, chunk)
        yield from (digest for digest in chunk if digest not in named and take(digest, now))


def _compare_embeddings(
    notes: Notes, machine: Machine, encoder: Encoder | None, repairs: Repairs | None
) -> None:
    with machine.database.read() as session:
        unembedded = photos_to_queue(session)
        unshown = audit.count_unshown(session, encoder.id) if encoder else 0
    if unembedded and repairs:
        repairs.queue_missing()
    notes.add(Kind.UNEMBEDDED_PHOTOS, unembedded, repaired=repairs is not None)
    notes.count(Kind.UNSHOWN_EMBEDDINGS, unshown)


def _compare_live_generation(
    notes: Notes, machine: Machine, encoder: Encoder, repairs: Repairs | None
) -> None:
    with machine.database.read() as session:
        live = generations.live(session, encoder.id)
        if live and live.last_change is not None:
            behind = audit.count_changes_after(session, live.last_change)
            notes.count(Kind.CHANGES_SINCE_GENERATION, behind)
        # The open one will be the answer to whatever is wrong with the live one.
        if generations.open_reindex(session):
            return
        is_missing = not live and count_live(session, encoder.id) > 0
    problem = _problem_with(machine, live) if live else None
    if not (is_missing or problem):
        return
    if repairs:
        # Asked for by somebody else in the meantime, it is as good.
        with suppress(ReindexRunning):
            repairs.request_reindex()
    kind = Kind.DAMAGED_GENERATION if problem else Kind.MISSING_GENERATION
    notes.add(kind, [problem or encoder.spec.label], repaired=repairs is not None)


def _problem_with(machine: Machine, live: Generation) -> str | None:
    """Why search workers will refuse the live generation, if they will.

    Reads every byte of it, unless it is only published: who fetches it does so.
    """
    folder = machine.generations_dir / str(live.id)
    try:
        if machine.store.files.is_elsewhere and not folder.exists():
            published_manifest(machine.store, live.id, live.manifest_sha256)
        else:
            verify_generation(folder, live.manifest_sha256)
    except OSError as error:
        raise Unavailable(f"{folder} can't be read.") from error
    except GenerationCorrupt as error:
        with machine.database.read() as session:
            status = audit.generation_statuses(session)[live.id]
        # Replaced and removed while it was being read, it is no trouble.
        return str(error) if status is GenerationStatus.LIVE else None
    return None


def _compare_generations(notes: Notes, machine: Machine, *, repair: bool) -> None:
    """Find the files of generations that are not kept, here and in the store; remove them."""
    folders = unused_folders(machine.database, machine.generations_dir)
    published = unused_published(machine.database, machine.store)
    if repair:
        sweep(machine.database, machine.generations_dir, machine.store)
    for folder in folders:
        # One that a process has opened meanwhile is removed when that process has closed it.
        gone = repair and not folder.exists()
        notes.add(Kind.ORPHANED_GENERATIONS, [folder], repaired=gone)
    notes.add(
        Kind.ORPHANED_GENERATIONS,
        [f"published generation {generation_id}" for generation_id in published],
        repaired=repair,
    )
