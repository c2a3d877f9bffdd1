"""What the database says about photos and generations, for comparing it with what is stored."""

from collections.abc import Collection

from sqlalchemy import Select, collate, func, select, true
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import is_shown
from db.statements import chunks, is_postgresql
from db.tables import Change, Embedding, Generation, Job, Listing, ListingPhoto, Photo
from models.domain.types import GenerationStatus, JobType, ListingStatus


def photos_under(session: Session, prefix: str) -> dict[str, bool]:
    """The SHA-256 of the photos that begin so, and whether a listing shows each."""
    # Compared byte by byte, as SQLite does: a language's rules may put "aa" after "z".
    sha256 = collate(Photo.sha256, "C") if is_postgresql(session) else Photo.sha256
    rows = session.execute(
        select(Photo.id, Photo.sha256).where(sha256 >= prefix, sha256 < prefix + "g")
    ).all()
    # Asked in a second step: planners may find it cheaper to look at every listing in the first.
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


def named(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the SHA-256 that are a listing's photo, or that a search was made with."""
    # Earlier releases searched with a single photo, and their searches can be retried.
    query_photo = Job.payload["photo"].as_string()
    found: set[str] = set()
    for chunk in chunks(hashes):
        found.update(session.scalars(select(Photo.sha256).where(Photo.sha256.in_(chunk))))
        searched = select(query_photo).where(Job.type == JobType.SEARCH, query_photo.in_(chunk))
        found.update(session.scalars(searched))
        for examples in ("positive", "negative"):
            found.update(session.scalars(_among_examples(session, examples, chunk)))
    return found


def _among_examples(session: Session, examples: str, hashes: list[str]) -> Select[str]:
    """Those of the SHA-256 that are in such a list of a search's payload."""
    if is_postgresql(session):
        listed = func.jsonb_array_elements_text(Job.payload[examples])
    else:
        listed = func.json_each(Job.payload, f"$.{examples}")
    example = listed.table_valued("value", name="example")
    return (
        select(example.c.value)
        .select_from(Job)
        .join(example, true())
        .where(Job.type == JobType.SEARCH, example.c.value.in_(hashes))
    )


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
    """The state of every generation there ever was, by id."""
    return dict(session.execute(select(Generation.id, Generation.status)).all())
