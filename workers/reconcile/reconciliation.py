"""Compares and repairs database, photo store and index, while all are in use.

The database is authoritative. Photos are compared a 256th of the store at a time, so that memory
stays bounded however many there are.
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
from workers.generations.prune import remove_unused_files, unused_folders, unused_published
from workers.generations.publish import published_manifest
from workers.reconcile.findings import FindingsCollector, Kind, Reconciliation

OnProgress = Callable[[str, int, int], None]
"""Called with a step, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """What a repair requests of other processes.

    `queue_missing` accepts jobs for the photos that are neither embedded nor in a job, and
    `request_reindex` accepts a reindex; it may raise ReindexRunning.
    """

    queue_missing: Callable[[], object]
    request_reindex: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Deployment:
    """The stores that are compared; of embeddings and indexes, the active encoder's."""

    database: Database
    store: PhotoStore
    generations_dir: Path


def reconcile(
    deployment: Deployment,
    *,
    now: datetime,
    repairs: Repairs | None,
    verify: bool,
    on_progress: OnProgress,
) -> Reconciliation:
    """Compare everything, and repair it with `repairs`; without, nothing is changed.

    `verify` reads and hashes every stored photo too. Raises Unavailable.
    """
    findings = FindingsCollector()
    for done, prefix in enumerate(PREFIXES):
        on_progress("photos", done, len(PREFIXES))
        _compare_photos(
            findings, deployment, prefix, now, verify=verify, repair=repairs is not None
        )
    on_progress("photos", len(PREFIXES), len(PREFIXES))
    with deployment.database.read() as session:
        encoder = active_encoder(session)
    _compare_embeddings(findings, deployment, encoder, repairs)
    on_progress("index", 0, 1)
    if encoder is not None:
        _compare_live_generation(findings, deployment, encoder, repairs)
    _compare_generations(findings, deployment, repair=repairs is not None)
    on_progress("index", 1, 1)
    return findings.result()


def _compare_photos(
    findings: FindingsCollector,
    deployment: Deployment,
    prefix: str,
    now: datetime,
    *,
    verify: bool,
    repair: bool,
) -> None:
    # Rows are read first: the bytes of a photo are stored before its row.
    with deployment.database.read() as session:
        rows = audit.photos_with_prefix(session, prefix)
    stored_files = deployment.store.list_prefix(prefix, now)
    stored = stored_files.digests
    findings.photos += len(rows)
    findings.stored += len(stored)

    damaged = [
        digest for digest in sorted(stored) if verify and _is_damaged(deployment.store, digest)
    ]
    findings.add(Kind.DAMAGED_PHOTOS, damaged, repaired=repair)
    findings.add(Kind.LEFTOVERS, stored_files.leftovers, repaired=repair)
    if repair:
        for digest in damaged:
            deployment.store.delete(digest)
        for path in stored_files.leftovers:
            deployment.store.delete_leftover(path)
        stored = stored.difference(damaged)

    shown = (digest for digest, is_shown in rows.items() if is_shown)
    findings.add(Kind.MISSING_PHOTOS, sorted(digest for digest in shown if digest not in stored))
    orphans = _orphans(deployment, stored.difference(rows), now, delete=repair)
    findings.add(Kind.ORPHANED_PHOTOS, orphans, repaired=repair)


def _is_damaged(store: PhotoStore, digest: str) -> bool:
    try:
        return sha256(store.get(digest)).hexdigest() != digest
    except NotFound:
        return False


def _orphans(
    deployment: Deployment, digests: Collection[str], now: datetime, *, delete: bool
) -> Iterator[str]:
    """Those of the photos that nothing references, and that are too old to be referenced soon."""
    # The age is checked last: `db.store.photo_store` says why that is safe.
    is_old = deployment.store.delete_old if delete else deployment.store.is_old
    for chunk in chunks(sorted(digests)):
        with deployment.database.read() as session:
            referenced = audit.referenced(session, chunk)
        yield from (digest for digest in chunk if digest not in referenced and is_old(digest, now))


def _compare_embeddings(
    findings: FindingsCollector,
    deployment: Deployment,
    encoder: Encoder | None,
    repairs: Repairs | None,
) -> None:
    with deployment.database.read() as session:
        unembedded = photos_to_queue(session)
        unshown = audit.count_unshown(session, encoder.id) if encoder else 0
    if unembedded and repairs:
        repairs.queue_missing()
    findings.add(Kind.UNEMBEDDED_PHOTOS, unembedded, repaired=repairs is not None)
    findings.count(Kind.UNSHOWN_EMBEDDINGS, unshown)


def _compare_live_generation(
    findings: FindingsCollector, deployment: Deployment, encoder: Encoder, repairs: Repairs | None
) -> None:
    with deployment.database.read() as session:
        live = generations.live(session, encoder.id)
        if live and live.last_change is not None:
            behind = audit.count_changes_after(session, live.last_change)
            findings.count(Kind.CHANGES_SINCE_GENERATION, behind)
        # The open one replaces the live generation, whatever is wrong with that.
        if generations.open_reindex(session):
            return
        is_missing = not live and count_live(session, encoder.id) > 0
    problem = _problem_with(deployment, live) if live else None
    if not (is_missing or problem):
        return
    if repairs:
        # One that another process has requested meanwhile is as good.
        with suppress(ReindexRunning):
            repairs.request_reindex()
    kind = Kind.DAMAGED_GENERATION if problem else Kind.MISSING_GENERATION
    findings.add(kind, [problem or encoder.spec.label], repaired=repairs is not None)


def _problem_with(deployment: Deployment, live: Generation) -> str | None:
    """Why search workers will refuse the live generation; None if they will not.

    Reads every byte of it, unless it is only published: a fetch verifies the files.
    """
    folder = deployment.generations_dir / str(live.id)
    try:
        if deployment.store.files.is_elsewhere and not folder.exists():
            published_manifest(deployment.store, live.id, live.manifest_sha256)
        else:
            verify_generation(folder, live.manifest_sha256)
    except OSError as error:
        raise Unavailable(f"{folder} can't be read.") from error
    except GenerationCorrupt as error:
        with deployment.database.read() as session:
            status = audit.generation_statuses(session)[live.id]
        # If it was replaced and removed while it was read, there is no problem.
        return str(error) if status is GenerationStatus.LIVE else None
    return None


def _compare_generations(
    findings: FindingsCollector, deployment: Deployment, *, repair: bool
) -> None:
    """Find the files of generations that are not kept, here and in the store; remove them."""
    folders = unused_folders(deployment.database, deployment.generations_dir)
    published = unused_published(deployment.database, deployment.store)
    if repair:
        remove_unused_files(deployment.database, deployment.generations_dir, deployment.store)
    for folder in folders:
        # One that a process has opened meanwhile is removed when that process has closed it.
        gone = repair and not folder.exists()
        findings.add(Kind.ORPHANED_GENERATIONS, [folder], repaired=gone)
    findings.add(
        Kind.ORPHANED_GENERATIONS,
        [f"published generation {generation_id}" for generation_id in published],
        repaired=repair,
    )
