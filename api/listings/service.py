"""Stores, reads and deletes listings; stored listings are embedded by jobs.

Each function commits before it returns, so that no response is sent for what is not stored.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from api.deps import Resources
from api.listings.schemas import Batch, BatchRow
from api.pagination import Position
from api.photos.service import store_photo
from db import jobs
from db.catalogue import listings
from db.catalogue.listing_photos import (
    PhotoData,
    ensure_photos,
    set_photos,
    stored_photos,
)
from db.catalogue.listings import ListingData, ListingView, upsert_listings
from db.embed_jobs import accept_embed_jobs
from db.idempotency import Answer
from db.tables import Job
from models.domain.errors import InvalidInput, MarketlensError
from models.domain.job_payloads import EmbedPayload, StoredJson, is_sha256
from models.domain.job_results import BatchResult, RowError


def list_listings(
    resources: Resources,
    limit: int,
    after: Position | None,
    *,
    external_id: str | None,
    feed: str | None,
) -> Sequence[ListingView]:
    """At most `limit` listings, newest first, from the one after this position on.

    Only those that a feed calls `external_id`, or that the feed of this name has brought.
    """
    with resources.database.read() as session:
        return listings.recent_listings(session, limit, after, external_id=external_id, feed=feed)


def read_listing(resources: Resources, listing_id: UUID) -> ListingView:
    """A listing. Raises NotFound."""
    with resources.database.read() as session:
        return listings.get_listing(session, listing_id)


def delete_listing(resources: Resources, listing_id: UUID) -> None:
    """Remove a listing. Raises NotFound."""
    with resources.database.write() as session:
        listings.delete_listing(session, listing_id, resources.now())


def store_photos(resources: Resources, photos: Sequence[bytes]) -> list[PhotoData]:
    """Store a listing's photos. Raises InvalidPhoto or UnsupportedPhoto."""
    return [store_photo(resources, data) for data in photos]


def put_listing(resources: Resources, listing: ListingData, stored: Sequence[PhotoData]) -> Job:
    """Store a listing with its photos and accept the job that embeds them, in one transaction."""
    with resources.database.write() as session:
        now = resources.now()
        upsert_listings(session, [listing], now)
        ids = ensure_photos(session, stored, now)
        photo_ids = [ids[photo.sha256] for photo in stored]
        job = jobs.accept(
            session,
            EmbedPayload(photo_ids=tuple(photo_ids)),
            job_id=uuid4(),
            now=now,
            total=len(photo_ids),
        )
        set_photos(session, {listing.id: photo_ids})
        made: StoredJson = {"listing_id": str(listing.id)}
        resources.record(session, Answer(HTTPStatus.ACCEPTED, body=made, job_id=job.id))
    resources.publisher.publish([job])
    return job


class Parts(NamedTuple):
    """The photos of a batch that are stored, and why others are not, by the name of their part."""

    stored: dict[str, PhotoData]
    unusable: dict[str, InvalidInput]


def store_parts(resources: Resources, batch: Batch) -> Parts:
    """Store the photos that rows name."""
    stored: dict[str, PhotoData] = {}
    unusable: dict[str, InvalidInput] = {}
    named = (name for row in batch.rows for name in row.photos if name in batch.parts)
    for name in dict.fromkeys(named):
        try:
            stored[name] = store_photo(resources, batch.parts[name])
        except InvalidInput as error:
            unusable[name] = error
    return Parts(stored, unusable)


def put_batch(resources: Resources, batch: Batch, parts: Parts) -> Job:
    """Store many listings and accept their embedding; invalid rows are only reported in the job."""
    photos, unusable = parts
    errors = list(batch.refused)
    with resources.database.write() as session:
        known = {**stored_photos(session, _named_hashes(batch.rows)), **photos}
        valid: list[BatchRow] = []
        seen: set[UUID] = set()
        for row in batch.rows:
            error = _row_error(row, known, unusable, seen)
            if error:
                errors.append(error)
            else:
                seen.add(row.listing.id)
                valid.append(row)
        job, children = _accept_batch(resources, session, valid, known, errors)
        resources.record(session, Answer(HTTPStatus.ACCEPTED, job_id=job.id))
    resources.publisher.publish(children)
    return job


def _accept_batch(
    resources: Resources,
    session: Session,
    rows: Sequence[BatchRow],
    photos: Mapping[str, PhotoData],
    errors: Sequence[RowError],
) -> tuple[Job, list[Job]]:
    """The batch's job and its child jobs. Each row of the request is in `rows` or in `errors`."""
    now = resources.now()
    upsert_listings(session, [row.listing for row in rows], now)
    wanted = {photos[name].sha256: photos[name] for row in rows for name in row.photos}
    ids = ensure_photos(session, list(wanted.values()), now)
    by_listing = {row.listing.id: [ids[photos[name].sha256] for name in row.photos] for row in rows}
    photo_ids = sorted(set(ids.values()))
    batch = jobs.accept_batch(
        session, _batch_result(rows, errors), job_id=uuid4(), now=now, total=len(photo_ids)
    )
    children = accept_embed_jobs(session, photo_ids, now=now, new_id=uuid4, parent_id=batch.id)
    set_photos(session, by_listing)
    return batch, children


def _batch_result(rows: Sequence[BatchRow], errors: Sequence[RowError]) -> BatchResult:
    """The result that a batch's job has from the start: accepted rows and errors."""
    return BatchResult(
        rows=len(rows) + len(errors),
        accepted=len(rows),
        listing_ids=tuple(row.listing.id for row in rows),
        errors=tuple(sorted(errors, key=lambda error: error.row)),
    )


def _named_hashes(rows: Sequence[BatchRow]) -> list[str]:
    return [name for row in rows for name in row.photos if is_sha256(name)]


def _row_error(
    row: BatchRow,
    known: Mapping[str, PhotoData],
    unusable: Mapping[str, MarketlensError],
    seen: set[UUID],
) -> RowError | None:
    if row.listing.id in seen:
        return RowError(
            row=row.number, code="duplicate_id", detail="A row before it has the same id."
        )
    for name in row.photos:
        if name in unusable:
            error = unusable[name]
            return RowError(row=row.number, code=error.code, detail=f"{name!r}: {error}")
        if name not in known:
            detail = f"{name!r} is neither a part of this request nor a stored photo."
            return RowError(row=row.number, code="unknown_photo", detail=detail)
    return None
