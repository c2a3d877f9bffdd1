"""Embeddings of photos, by encoder. Needs numpy: the API never imports this module."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, exists, func, select, text, true
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import ColumnElement

from db.catalogue.listing_photos import is_shown
from db.id_set import IdSet
from db.statements import chunks, insert_missing, is_postgresql
from db.tables import Embedding, Generation, Job, Photo
from db.vectors.changes import record_changes
from db.vectors.encoders import established_encoders
from db.vectors.generations import KEPT
from models.domain.job_payloads import EmbedPayload
from models.domain.types import OPEN_STATUSES, JobType
from models.vectors import STORED_DTYPE, from_stored, to_stored

BATCH_ROWS = 2_000

_HAS_VECTOR = func.length(Embedding.vector) > 0

Vectors = tuple[NDArray[np.int64], NDArray[np.float32]]


def add_embeddings(
    session: Session, encoder_id: int, vectors: Mapping[int, NDArray[np.float32]]
) -> None:
    """Store vectors by photo id, keeping those already stored, and record the photos as changed.

    A vector of zeros, for a photo in which the encoder finds nothing, is stored as an empty vector
    and recorded as no change.
    """
    record_changes(session, _store(session, encoder_id, vectors))


def underived_after(
    session: Session, encoder_id: int, base_id: int, photo_id: int
) -> dict[int, NDArray[np.float32] | None]:
    """The base's vectors of the next photos, by id, that this encoder has not embedded.

    At most `BATCH_ROWS`; None for a photo in which the base found nothing.
    """
    rows = session.execute(
        select(Embedding.photo_id, Embedding.vector)
        .where(_is_underived(encoder_id, base_id), Embedding.photo_id > photo_id)
        .order_by(Embedding.photo_id)
        .limit(BATCH_ROWS)
    ).all()
    found: dict[int, NDArray[np.float32] | None] = {row.photo_id: None for row in rows}
    ids, vectors = _unpack([(row.photo_id, row.vector) for row in rows if row.vector])
    return found | dict(zip(ids.tolist(), vectors, strict=True))


def count_underived(session: Session, encoder_id: int, base_id: int) -> int:
    """How many photos the base has embedded and this encoder has not."""
    statement = select(func.count()).select_from(Embedding)
    return session.scalars(statement.where(_is_underived(encoder_id, base_id))).one()


def add_derived(
    session: Session, encoder_id: int, vectors: Mapping[int, NDArray[np.float32] | None]
) -> None:
    """Store vectors of photos, or that there is none, keeping those already stored.

    While this encoder has no index, and none is being built, they are recorded as no change:
    nobody could look at them, and a whole catalogue of changes would keep every search worker busy.
    """
    if is_postgresql(session):
        # No generation is begun until these are committed: its build would have read past them.
        session.execute(text("LOCK TABLE generations IN SHARE MODE"))
    is_indexed = session.scalar(
        select(exists().where(Generation.encoder_id == encoder_id, Generation.status.in_(KEPT)))
    )
    seen = _store(session, encoder_id, vectors)
    if is_indexed:
        record_changes(session, seen)


def _store(
    session: Session, encoder_id: int, vectors: Mapping[int, NDArray[np.float32] | None]
) -> set[int]:
    """Store vectors by photo id, keeping those already stored; the photos that have one.

    None, and a vector of zeros, are stored as an empty vector. A photo that was erased meanwhile is
    left out.
    """
    there = _lock_photos(session, vectors)
    seen = {
        photo_id: vector
        for photo_id, vector in vectors.items()
        if photo_id in there and vector is not None and vector.any()
    }
    rows = [
        {
            "encoder_id": encoder_id,
            "photo_id": photo_id,
            "vector": to_stored(seen[photo_id]).tobytes() if photo_id in seen else b"",
        }
        # In order of id, so that two jobs with photos in common do not deadlock.
        for photo_id in sorted(there)
    ]
    insert_missing(session, Embedding, rows, key=["encoder_id", "photo_id"])
    return set(seen)


def _lock_photos(session: Session, photo_ids: Collection[int]) -> set[int]:
    """Those of the photos that there are; nobody deletes them before the transaction ends."""
    return {
        photo_id
        for chunk in chunks(sorted(photo_ids))
        for photo_id in session.scalars(
            select(Photo.id)
            .where(Photo.id.in_(chunk))
            .order_by(Photo.id)
            .with_for_update(read=True, key_share=True)
        )
    }


def _is_underived(encoder_id: int, base_id: int) -> ColumnElement[bool]:
    own = aliased(Embedding)
    is_derived = exists().where(own.encoder_id == encoder_id, own.photo_id == Embedding.photo_id)
    return (Embedding.encoder_id == base_id) & ~is_derived


def embedded(session: Session, encoder_id: int, photo_ids: Collection[int]) -> set[int]:
    """Those of the photos that this encoder has embedded, also where it found nothing in them."""
    return _embedded(session, encoder_id, photo_ids, true())


def having_vector(session: Session, encoder_id: int, photo_ids: Collection[int]) -> set[int]:
    """Those of the photos that have a vector of this encoder that is not empty."""
    return _embedded(session, encoder_id, photo_ids, _HAS_VECTOR)


def embedded_photos(session: Session, encoder_id: int) -> list[int]:
    """The photos of which this encoder has a vector that is not empty, shown or not, by id."""
    statement = select(Embedding.photo_id).where(Embedding.encoder_id == encoder_id, _HAS_VECTOR)
    return list(session.scalars(statement.order_by(Embedding.photo_id)))


# Built once: every search needs it.
_BY_HASH = (
    select(Photo.sha256, Embedding.vector)
    .join(Embedding, Embedding.photo_id == Photo.id)
    .where(
        Embedding.encoder_id == bindparam("its_encoder"),
        Photo.sha256.in_(bindparam("hashes", expanding=True)),
        _HAS_VECTOR,
    )
)


def vectors_of_hashes(
    session: Session, encoder_id: int, hashes: Collection[str]
) -> dict[str, NDArray[np.float32]]:
    """The stored vectors (dimension,) of the photos with these SHA-256 that have one."""
    rows = [
        (row.sha256, row.vector)
        for chunk in chunks(hashes)
        for row in session.execute(_BY_HASH, {"its_encoder": encoder_id, "hashes": chunk})
    ]
    _, vectors = _unpack([(0, vector) for _, vector in rows])
    return dict(zip((sha256 for sha256, _ in rows), vectors, strict=True))


def vector_of_photo(session: Session, encoder_id: int, photo_id: int) -> NDArray[np.float32] | None:
    """The stored vector (dimension,) of a photo; None if it has none, or an empty one."""
    stored = session.scalar(_BY_PHOTO, {"its_encoder": encoder_id, "its_photo": photo_id})
    return _unpack([(photo_id, stored)])[1][0] if stored else None


_BY_PHOTO = select(Embedding.vector).where(
    Embedding.encoder_id == bindparam("its_encoder"), Embedding.photo_id == bindparam("its_photo")
)


def live_vectors_of(session: Session, encoder_id: int, photo_ids: Sequence[int]) -> Vectors:
    """The vectors of those photos that have one and are shown by a listing."""
    rows = [
        (row.photo_id, row.vector)
        for chunk in chunks(photo_ids)
        for row in session.execute(
            select(Embedding.photo_id, Embedding.vector).where(
                Embedding.encoder_id == encoder_id,
                Embedding.photo_id.in_(chunk),
                _HAS_VECTOR,
                is_shown(Embedding.photo_id),
            )
        )
    ]
    return _unpack(rows)


def live_vectors(
    transaction: Callable[[], AbstractContextManager[Session]], encoder_id: int
) -> Iterator[Vectors]:
    """Every live vector in order of photo id, `BATCH_ROWS` at a time.

    Each batch is read in its own transaction, which ends before the batch is yielded: none stays
    open while the caller works.
    """
    last = 0
    while True:
        with transaction() as session:
            ids, vectors = _live_vectors_after(session, encoder_id, last)
        if not len(ids):
            return
        last = int(ids[-1])
        yield ids, vectors


def _live_vectors_after(session: Session, encoder_id: int, photo_id: int) -> Vectors:
    rows = session.execute(
        select(Embedding.photo_id, Embedding.vector)
        .where(
            Embedding.encoder_id == encoder_id,
            Embedding.photo_id > photo_id,
            _HAS_VECTOR,
            is_shown(Embedding.photo_id),
        )
        .order_by(Embedding.photo_id)
        .limit(BATCH_ROWS)
    ).all()
    return _unpack([(row.photo_id, row.vector) for row in rows])


def photos_of_both(session: Session, encoder_id: int, other_id: int) -> list[int]:
    """The photos that both encoders have embedded, shown or not, in order of id."""
    other = aliased(Embedding)
    return list(
        session.scalars(
            select(Embedding.photo_id)
            .join(other, (other.photo_id == Embedding.photo_id) & (other.encoder_id == other_id))
            .where(Embedding.encoder_id == encoder_id)
            .order_by(Embedding.photo_id)
        )
    )


def count_live(session: Session, encoder_id: int) -> int:
    """How many photos have a vector of this encoder and are shown by a listing."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Embedding)
            .where(Embedding.encoder_id == encoder_id, _HAS_VECTOR, is_shown(Embedding.photo_id))
        )
        or 0
    )


def photos_lacking(session: Session, encoder_id: int | None) -> IdSet:
    """Photos of listings that this encoder has not embedded; all of them if it is None."""
    is_embedded = exists().where(Embedding.encoder_id == encoder_id, Embedding.photo_id == Photo.id)
    return IdSet(
        session.scalars(
            select(Photo.id)
            .where(~is_embedded, is_shown(Photo.id))
            .execution_options(yield_per=BATCH_ROWS)
        )
    )


def photos_to_embed(session: Session, encoder_id: int | None) -> AbstractSet[int]:
    """Photos of listings that this encoder has not embedded and no open job will.

    With None, those that no job will embed at all.
    """
    # Jobs are read second, so that photos of a job accepted in between are not queued twice.
    missing = photos_lacking(session, encoder_id)
    return missing - photos_in_open_jobs(session, encoder_id)


def photos_to_queue(session: Session) -> IdSet:
    """Photos of listings that an established encoder lacks, and no open job will embed.

    Where no encoder is, those that no job will embed at all.
    """
    photo_ids = IdSet()
    established: list[int | None] = [row.id for row in established_encoders(session)]
    for encoder_id in established or [None]:
        photo_ids.update(photos_to_embed(session, encoder_id))
    return photo_ids


def photos_in_open_jobs(session: Session, encoder_id: int | None = None) -> IdSet:
    """The photos of open jobs that embed by every followed encoder, or by this one."""
    return IdSet(
        photo_id
        for job in open_embed_jobs(session)
        if job.encoder_id is None or job.encoder_id == encoder_id
        for photo_id in job.photo_ids
    )


class OpenEmbedJob(NamedTuple):
    """An embed job that has not ended; without an encoder's id, it is for all that are followed."""

    id: UUID
    photo_ids: tuple[int, ...]
    encoder_id: int | None


def open_embed_jobs(session: Session) -> Iterator[OpenEmbedJob]:
    """The open embed jobs, read lazily. Raises UnreadableRecord for one of a newer release."""
    rows = session.execute(
        select(Job.id, Job.payload)
        .where(Job.type == JobType.EMBED, Job.status.in_(OPEN_STATUSES))
        .execution_options(yield_per=BATCH_ROWS)
    )
    payloads = ((job_id, EmbedPayload.parse(stored)) for job_id, stored in rows)
    return (
        OpenEmbedJob(job_id, payload.photo_ids, payload.encoder_id) for job_id, payload in payloads
    )


def _embedded(
    session: Session, encoder_id: int, photo_ids: Collection[int], condition: ColumnElement[bool]
) -> set[int]:
    return {
        photo_id
        for chunk in chunks(photo_ids)
        for photo_id in session.scalars(
            select(Embedding.photo_id).where(
                Embedding.encoder_id == encoder_id, Embedding.photo_id.in_(chunk), condition
            )
        )
    }


def _unpack(rows: Sequence[tuple[int, bytes]]) -> Vectors:
    """Ids (n,) int64 and vectors (n, d) float32; no rows give (0, 0)."""
    if not rows:
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)
    ids = np.array([photo_id for photo_id, _ in rows], np.int64)
    stored = np.frombuffer(b"".join(vector for _, vector in rows), STORED_DTYPE)
    return ids, from_stored(stored.reshape(len(rows), -1))
