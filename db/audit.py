"""Queries of photos and generations, for comparing the database with the photo store and index."""

from collections.abc import Collection, Iterator

from sqlalchemy import Select, collate, func, select, true
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import is_shown
from db.saved_searches.tables import SavedSearch
from db.statements import chunks, is_postgresql
from db.tables import Change, Embedding, Generation, Job, Listing, ListingPhoto, Photo
from models.domain.job_payloads import PAYLOAD_TYPES, JobPayload, SearchPayload
from models.domain.types import GenerationStatus, ListingStatus


def photos_with_prefix(session: Session, prefix: str) -> dict[str, bool]:
    """The SHA-256 of the photos with this prefix, and whether a listing shows each."""
    # Compared byte by byte, as in SQLite: in some collations "aa" sorts after "z".
    sha256 = collate(Photo.sha256, "C") if is_postgresql(session) else Photo.sha256
    rows = session.execute(
        select(Photo.id, Photo.sha256).where(sha256 >= prefix, sha256 < prefix + "g")
    ).all()
    # A second query: in a join, planners may choose to scan every listing.
    shown: set[int] = set()
    for chunk in chunks(row.id for row in rows):
        shown.update(
            session.scalars(
                select(ListingPhoto.photo_id)
                .join(Listing, Listing.id == ListingPhoto.listing_id)
                .where(ListingPhoto.photo_id.in_(chunk), Listing.status != ListingStatus.DELETED)
            )
        )
    return {row.sha256: row.id in shown for row in rows}


def referenced(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the SHA-256 that a photo's row, some job or some saved search refers to."""
    found: set[str] = set()
    for chunk in chunks(hashes):
        found.update(session.scalars(select(Photo.sha256).where(Photo.sha256.in_(chunk))))
        for payload in PAYLOAD_TYPES.values():
            # Also ended jobs: see `jobs.retry`.
            of_type = Job.type == payload.job_type
            for statement in _named_in(session, Job, payload, chunk):
                found.update(session.scalars(statement.where(of_type)))
        for statement in _named_in(session, SavedSearch, SearchPayload, chunk):
            found.update(session.scalars(statement))
    return found


def _named_in(
    session: Session,
    table: type[Job] | type[SavedSearch],
    payload: type[JobPayload],
    hashes: list[str],
) -> Iterator[Select[str]]:
    """Those of the SHA-256 that payloads of this type refer to."""
    for name in payload.photo_fields:
        photo = table.payload[name].as_string()
        yield select(photo).where(photo.in_(hashes))
    for name in payload.photo_lists:
        if is_postgresql(session):
            listed = func.jsonb_array_elements_text(table.payload[name])
        else:
            listed = func.json_each(table.payload, f"$.{name}")
        photo = listed.table_valued("value", name="photo").c.value
        yield (select(photo).select_from(table).join(photo.table, true()).where(photo.in_(hashes)))


def count_unshown(session: Session, encoder_id: int) -> int:
    """How many photos this encoder has embedded that no listing shows."""
    statement = (
        select(func.count())
        .select_from(Embedding)
        .where(Embedding.encoder_id == encoder_id, ~is_shown(Embedding.photo_id))
    )
    return session.scalars(statement).one()


def count_changes_after(session: Session, number: int) -> int:
    """How many changes were recorded after this one."""
    return session.scalars(select(func.count()).where(Change.number > number)).one()


def generation_statuses(session: Session) -> dict[int, GenerationStatus]:
    """The status of every generation, by id; rows of removed ones remain."""
    return dict(session.execute(select(Generation.id, Generation.status)).all())
