"""Stores, reads, changes and deletes listings; stored listings are embedded by jobs.

Each function commits before it returns, so that no response is sent for what is not stored.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from api.deps import Resources
from api.listings.merge_patch import JsonObject, patched, photos_in
from api.listings.photo_references import is_photo_url
from api.listings.schemas import Batch, BatchRow
from api.listings.stated_photos import (
    check_urls,
    named,
    resolved,
    restate_photos,
    state_photos,
)
from api.pagination import Position
from api.photos.service import store_photo
from api.uploads.spool import Upload
from db.access.audit_log import ANONYMOUS, record_entry
from db.catalogue import listings
from db.catalogue.categories import ensure_categories
from db.catalogue.listing_photos import (
    PhotoData,
    ensure_photos,
    set_photos,
    stored_photos,
)
from db.catalogue.listings import ListingData, ListingView, upsert_listings
from db.idempotency import Answer
from db.jobs import accepting
from db.jobs.embed import accept_embed_jobs
from db.jobs.fetch import accept_fetch_job
from db.retention.erasures import erase_listing as erase
from db.store.photo_urls import check_url
from db.tables import Job
from models.domain.errors import ChangedMeanwhile, InvalidInput, MarketlensError
from models.domain.job_payloads import PhotosToFetch, StoredJson, is_sha256
from models.domain.job_results.embeddings import BatchResult, RowError
from models.domain.types import AuditSource

ERASED: Final = "DELETE /v1/listings/{listing_id}?erase=true"


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


def erase_listing(resources: Resources, listing_id: UUID) -> None:
    """Erase a listing with all that belongs to it, deleted or not. Raises NotFound.

    What is left of it elsewhere is looked for afterwards, by the relay.
    """
    actor = resources.caller.name or ANONYMOUS
    with resources.database.write() as session:
        now = resources.now()
        erase(session, listing_id, now)
        # That something was erased, not what.
        record_entry(session, AuditSource.API, actor, ERASED, {}, now)


def store_photos(resources: Resources, photos: Sequence[Upload]) -> list[PhotoData]:
    """Store a listing's photos. Raises InvalidPhoto or UnsupportedPhoto."""
    decode = resources.decoders.of_listings()
    return [store_photo(resources, photo, decode) for photo in photos]


def put_listing(
    resources: Resources,
    listing: ListingData,
    references: Sequence[str],
    stored: Sequence[PhotoData],
) -> Job:
    """Store a listing with its photos and accept the job that embeds them, in one transaction.

    The photos are those that are named (by SHA-256 or URL) and then those that were stored with
    it. Raises InvalidInput.
    """
    check_urls(resources, references)
    with resources.database.write() as session:
        photos = [*resolved(session, references), *stored]
        upsert_listings(session, [listing], resources.now())
        accepted = state_photos(session, resources, listing.id, photos)
        made: StoredJson = {"listing_id": str(listing.id)}
        resources.record(session, Answer(HTTPStatus.ACCEPTED, body=made, job_id=accepted[-1].id))
    resources.publisher.publish(accepted)
    return accepted[-1]


class Patched(NamedTuple):
    """A listing as it is now, and the job that embeds its photos, if there is something to do."""

    listing: ListingView
    job: Job | None


def patch_listing(
    resources: Resources,
    listing_id: UUID,
    patch: JsonObject,
    is_expected: Callable[[ListingView], bool],
) -> Patched:
    """Change what the patch (JSON Merge Patch) states of a listing, and leave the rest.

    Raises NotFound, InvalidInput, and ChangedMeanwhile where the listing is not as expected.
    """
    references = photos_in(patch)
    check_urls(resources, references or [])
    with resources.database.read() as session:
        first = patched(listings.get_listing(session, listing_id), patch)
    with resources.database.write() as session:
        # In the order of `upsert_listings`: other transactions that lock it have done this before.
        ensure_categories(session, [first.category] if first.category else [])
        listings.lock_listing(session, listing_id)
        before = listings.get_listing(session, listing_id)
        if not is_expected(before):
            raise ChangedMeanwhile("The listing has been changed since it was read: read it again.")
        upsert_listings(session, [patched(before, patch)], resources.now())
        accepted: list[Job] = []
        if references is not None:
            photos = resolved(session, references)
            accepted = restate_photos(session, resources, listing_id, photos)
        # The row above is as it was before.
        session.expire_all()
        after = listings.get_listing(session, listing_id)
        # Here a change of a listing ends: what depends on it is written before this commit.
    resources.publisher.publish(accepted)
    return Patched(after, accepted[-1] if accepted else None)


class Parts(NamedTuple):
    """The photos of a batch that are stored, and why others are not, by the name of their part."""

    stored: dict[str, PhotoData]
    unusable: dict[str, InvalidInput]


def store_parts(resources: Resources, batch: Batch) -> Parts:
    """Store the photos that rows name."""
    stored: dict[str, PhotoData] = {}
    unusable: dict[str, InvalidInput] = {}
    decode = resources.decoders.of_listings()
    named = (name for row in batch.rows for name in row.photos if name in batch.parts)
    for name in dict.fromkeys(named):
        try:
            stored[name] = store_photo(resources, batch.parts[name], decode)
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
            error = _row_error(resources, row, known, unusable, seen)
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
    stated = {row.number: [photos.get(name, name) for name in row.photos] for row in rows}
    wanted = {
        photo.sha256: photo
        for row in stated.values()
        for photo in row
        if isinstance(photo, PhotoData)
    }
    ids = ensure_photos(session, list(wanted.values()), now)
    photo_ids = sorted(set(ids.values()))
    set_photos(
        session,
        {
            row.listing.id: [ids[name] for name in named(stated[row.number]) if name in ids]
            for row in rows
        },
    )
    to_fetch = [
        PhotosToFetch(listing_id=row.listing.id, photos=named(stated[row.number]), row=row.number)
        for row in rows
        if any(isinstance(photo, str) for photo in stated[row.number])
    ]
    total = len(photo_ids) + sum(len(photos.urls) for photos in to_fetch)
    made_by = resources.caller.name
    batch = accepting.accept_batch(
        session,
        _batch_result(rows, errors),
        job_id=uuid4(),
        now=now,
        total=total,
        made_by=made_by,
    )
    children = accept_embed_jobs(
        session, photo_ids, now=now, new_id=uuid4, parent_id=batch.id, made_by=made_by
    )
    children += [
        accept_fetch_job(
            session, photos, job_id=uuid4(), now=now, parent_id=batch.id, made_by=made_by
        )
        for photos in to_fetch
    ]
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
    resources: Resources,
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
        if name not in known and is_photo_url(name):
            try:
                check_url(name)
                check_urls(resources, [name])
            except InvalidInput as refused:
                return RowError(row=row.number, code=refused.code, detail=str(refused))
        elif name not in known:
            detail = f"{name!r} is neither a part of this request nor a stored photo."
            return RowError(row=row.number, code="unknown_photo", detail=detail)
    return None
