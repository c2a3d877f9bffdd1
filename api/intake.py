"""What the front desk does with a request once it is parsed: store, accept, publish.

Each function commits before it returns, so that an answer is never sent for what is not stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from api.deps import Desk
from db import jobs
from db.catalogue.listing_photos import (
    PhotoData,
    ensure_photos,
    set_photos,
    stored_photos,
)
from db.catalogue.listings import (
    ListingData,
    get_listing,
    upsert_listings,
)
from db.tables import Job
from models.domain.errors import InvalidInput, MarketlensError
from models.domain.types import JobType
from models.photos import standardise
from workers.queue.messages import PHOTOS_PER_JOB


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One valid row of a bulk request; `photos` are part names or SHA-256 of stored photos."""

    number: int
    listing: ListingData
    photos: Sequence[str]


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of a bulk request was left out; rows count from 1."""

    row: int
    code: str
    detail: str


def store_photo(desk: Desk, data: bytes) -> PhotoData:
    """Standardise a photo and keep it, durably. Raises InvalidPhoto or UnsupportedPhoto."""
    photo = standardise(data)
    return PhotoData(desk.store.put(photo.data), photo.width, photo.height)


def ask_about_photo(desk: Desk, question: JobType, data: bytes, options: Mapping[str, Any]) -> Job:
    """Accept an embedding or a prediction of a photo."""
    photo = store_photo(desk, data)
    return accept_and_publish(desk, question, {"photo": photo.sha256, **options}, total=1)


def ask_about_listing(
    desk: Desk, question: JobType, listing_id: UUID, options: Mapping[str, Any]
) -> Job:
    """Accept a prediction by the photos of one of our listings. Raises NotFound."""
    with desk.database.read() as session:
        get_listing(session, listing_id)
    payload = {"listing_id": str(listing_id), **options}
    return accept_and_publish(desk, question, payload, total=1)


def reindex(desk: Desk) -> Job:
    """Accept a rebuild of the index. Raises ReindexRunning."""
    return accept_and_publish(desk, JobType.REINDEX, {})


def put_listing(desk: Desk, listing: ListingData, photos: Sequence[bytes]) -> Job:
    """Store a listing with its photos, and accept the job that embeds them, as one."""
    stored = [store_photo(desk, data) for data in photos]
    with desk.database.write() as session:
        now = desk.now()
        upsert_listings(session, [listing], now)
        ids = ensure_photos(session, stored, now)
        photo_ids = [ids[photo.sha256] for photo in stored]
        job = jobs.accept(
            session,
            JobType.EMBED,
            {"photo_ids": photo_ids},
            job_id=uuid4(),
            now=now,
            total=len(photo_ids),
        )
        set_photos(session, {listing.id: photo_ids})
    desk.publisher.publish([job])
    return job


def put_batch(
    desk: Desk, rows: Sequence[BatchRow], parts: Mapping[str, bytes], refused: Sequence[RowError]
) -> Job:
    """Store many listings and accept their embedding; a bad row is reported in the job, alone."""
    photos, unusable = _store_parts(desk, rows, parts)
    errors = list(refused)
    with desk.database.write() as session:
        known = {**stored_photos(session, _named_hashes(rows)), **photos}
        good: list[BatchRow] = []
        seen: set[UUID] = set()
        for row in rows:
            error = _row_error(row, known, unusable, seen)
            if error:
                errors.append(error)
            else:
                seen.add(row.listing.id)
                good.append(row)
        batch, children = _accept_batch(
            desk, session, good, known, len(rows) + len(refused), errors
        )
    desk.publisher.publish(children)
    return batch


def _accept_batch(
    desk: Desk,
    session: Session,
    rows: Sequence[BatchRow],
    photos: Mapping[str, PhotoData],
    read: int,
    errors: Sequence[RowError],
) -> tuple[Job, list[Job]]:
    now = desk.now()
    upsert_listings(session, [row.listing for row in rows], now)
    wanted = {photos[name].sha256: photos[name] for row in rows for name in row.photos}
    ids = ensure_photos(session, list(wanted.values()), now)
    by_listing = {row.listing.id: [ids[photos[name].sha256] for name in row.photos] for row in rows}
    photo_ids = sorted(set(ids.values()))
    batch = jobs.accept_batch(
        session,
        {
            "rows": read,
            "accepted": len(rows),
            "listing_ids": [str(row.listing.id) for row in rows],
            "errors": [
                {"row": error.row, "code": error.code, "detail": error.detail}
                for error in sorted(errors, key=lambda error: error.row)
            ],
        },
        job_id=uuid4(),
        now=now,
        total=len(photo_ids),
    )
    children = [
        jobs.accept(
            session,
            JobType.EMBED,
            {"photo_ids": photo_ids[start : start + PHOTOS_PER_JOB]},
            job_id=uuid4(),
            now=now,
            total=len(photo_ids[start : start + PHOTOS_PER_JOB]),
            parent_id=batch.id,
        )
        for start in range(0, len(photo_ids), PHOTOS_PER_JOB)
    ]
    set_photos(session, by_listing)
    return batch, children


def _store_parts(
    desk: Desk, rows: Sequence[BatchRow], parts: Mapping[str, bytes]
) -> tuple[dict[str, PhotoData], dict[str, InvalidInput]]:
    """The photos that rows name, stored; and those that can't be used, with the reason."""
    stored: dict[str, PhotoData] = {}
    unusable: dict[str, InvalidInput] = {}
    for name in dict.fromkeys(name for row in rows for name in row.photos if name in parts):
        try:
            stored[name] = store_photo(desk, parts[name])
        except InvalidInput as error:
            unusable[name] = error
    return stored, unusable


def _named_hashes(rows: Sequence[BatchRow]) -> list[str]:
    return [name for row in rows for name in row.photos if len(name) == 64]  # noqa: PLR2004


def _row_error(
    row: BatchRow,
    known: Mapping[str, PhotoData],
    unusable: Mapping[str, MarketlensError],
    seen: set[UUID],
) -> RowError | None:
    if row.listing.id in seen:
        return RowError(row.number, "duplicate_id", "A row before it has the same id.")
    for name in row.photos:
        if name in unusable:
            error = unusable[name]
            return RowError(row.number, error.code, f"{name!r}: {error}")
        if name not in known:
            detail = f"{name!r} is neither a part of this request nor a stored photo."
            return RowError(row.number, "unknown_photo", detail)
    return None


def accept_and_publish(
    desk: Desk, job_type: JobType, payload: dict[str, Any], total: int = 0
) -> Job:
    """Store a job, and tell the workers."""
    with desk.database.write() as session:
        job = jobs.accept(session, job_type, payload, job_id=uuid4(), now=desk.now(), total=total)
    desk.publisher.publish([job])
    return job
