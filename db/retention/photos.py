"""Photos that no listing has any more, and photos that something still names."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, collate, delete, exists, func, select, tuple_
from sqlalchemy.orm import Session

from db.saved_searches.tables import SavedSearch
from db.statements import chunks, is_postgresql
from db.tables import Embedding, Job, ListingPhoto, Photo
from db.vectors.changes import record_changes
from models.domain.job_payloads import PAYLOAD_TYPES, SearchPayload, StoredJson, is_sha256
from models.domain.types import JobType

LOOKED_AT: Final = 2_000
AT_ONCE: Final = 50
"""Photos that one transaction deletes, with their vectors of all encoders."""
_NAMING: Final = tuple(
    payload for payload in PAYLOAD_TYPES.values() if payload.photo_fields or payload.photo_lists
)


class Orphans(NamedTuple):
    """The last photo that was looked at, None at the end, and those that no listing has, by id."""

    last: int | None
    photo_ids: list[int]


def next_orphans(session: Session, after: int, before: datetime) -> Orphans:
    """Look at the next photos after this id; those of before this time may be orphans.

    A deleted listing has its photos as long as it is kept.
    """
    is_shown = exists().where(ListingPhoto.photo_id == Photo.id)
    rows = session.execute(
        select(Photo.id, and_(Photo.created_at < before, ~is_shown).label("is_orphan"))
        .where(Photo.id > after)
        .order_by(Photo.id)
        .limit(LOOKED_AT)
    ).all()
    return Orphans(rows[-1].id if rows else None, [row.id for row in rows if row.is_orphan])


def remove_orphans(
    session: Session, photo_ids: Sequence[int], *, wait: bool = False
) -> dict[int, str]:
    """Delete those of the photos that no listing has, with their vectors; SHA-256 by id.

    Their files stay. Indexes are told to look at them again. One that another transaction uses is
    left out, unless it is to `wait` for that.
    """
    # Who gives one to a listing locks it, or waits here and then finds it gone.
    locked = session.scalars(
        select(Photo.id)
        .where(Photo.id.in_(photo_ids))
        .order_by(Photo.id)
        .with_for_update(skip_locked=not wait)
    ).all()
    is_shown = exists().where(ListingPhoto.photo_id == Photo.id)
    rows = session.execute(
        select(Photo.id, Photo.sha256).where(Photo.id.in_(locked), ~is_shown)
    ).all()
    found = {row.id: row.sha256 for row in rows}
    for chunk in chunks(found):
        for deleting in (
            delete(Embedding).where(Embedding.photo_id.in_(chunk)),
            delete(Photo).where(Photo.id.in_(chunk)),
        ):
            session.execute(deleting.execution_options(synchronize_session=False))
    record_changes(session, found)
    return found


def vector_bytes(session: Session, photo_ids: Sequence[int]) -> int:
    """The bytes of all vectors of these photos."""
    return sum(
        session.scalars(
            select(func.coalesce(func.sum(func.length(Embedding.vector)), 0)).where(
                Embedding.photo_id.in_(chunk)
            )
        ).one()
        for chunk in chunks(photo_ids)
    )


def hashes_with_prefix(session: Session, prefix: str) -> set[str]:
    """The SHA-256 of the photos with this prefix, shown or not."""
    # Compared byte by byte, as in SQLite: in some collations "aa" sorts after "z".
    sha256 = collate(Photo.sha256, "C") if is_postgresql(session) else Photo.sha256
    return set(session.scalars(select(Photo.sha256).where(sha256 >= prefix, sha256 < prefix + "g")))


def known_hashes(session: Session, hashes: Sequence[str]) -> set[str]:
    """Those of the SHA-256 that are a photo's."""
    return {
        found
        for chunk in chunks(hashes)
        for found in session.scalars(select(Photo.sha256).where(Photo.sha256.in_(chunk)))
    }


class Named(NamedTuple):
    """Where a pass through the jobs has come to, None at the end, and the photos they name."""

    position: tuple[datetime, UUID] | None
    hashes: set[str]


def named_by_jobs(session: Session, after: tuple[datetime, UUID] | None) -> Named:
    """The SHA-256 of the photos that the next jobs name, also ended ones, which may be retried."""
    statement = (
        select(Job.created_at, Job.id, Job.type, Job.payload)
        .where(Job.type.in_([payload.job_type for payload in _NAMING]))
        .order_by(Job.created_at, Job.id)
        .limit(LOOKED_AT)
    )
    if after is not None:
        statement = statement.where(tuple_(Job.created_at, Job.id) > after)
    rows = session.execute(statement).all()
    hashes = {sha256 for row in rows for sha256 in photos_named(row.type, row.payload)}
    return Named((rows[-1].created_at, rows[-1].id) if rows else None, hashes)


def named_by_saved_searches(session: Session) -> set[str]:
    """The SHA-256 of the photos that saved searches are made from."""
    rows = session.execute(select(SavedSearch.payload, SavedSearch.listing_photos)).yield_per(
        LOOKED_AT
    )
    found: set[str] = set()
    for payload, of_listings in rows:
        found.update(photos_named(SearchPayload.job_type, payload))
        for photos in of_listings.values():
            found.update(map(str, photos) if isinstance(photos, list) else ())
    return found


def photos_named(job_type: JobType, payload: StoredJson) -> set[str]:
    """The SHA-256 of the photos that the payload of a job names."""
    of_type = PAYLOAD_TYPES[job_type]
    named = [payload.get(name) for name in of_type.photo_fields]
    for name in of_type.photo_lists:
        listed = payload.get(name)
        named += listed if isinstance(listed, list) else []
    return {photo for photo in named if isinstance(photo, str) and is_sha256(photo)}
