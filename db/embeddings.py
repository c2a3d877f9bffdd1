"""Embeddings and the encoders that made them. Needs numpy: the API never imports this module."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import exists, func, select, true
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from db.changes import record_changes
from db.ids import IdSet
from db.listing_photos import is_shown
from db.statements import chunks, insert_missing
from db.tables import Embedding, Encoder, Job, Photo
from models.domain import OPEN_STATUSES, EncoderSpec, JobType

AT_REST = np.dtype("<f2")
BATCH_ROWS = 2_000

_HAS_VECTOR = func.length(Embedding.vector) > 0

Vectors = tuple[NDArray[np.int64], NDArray[np.float32]]


def register_encoder(session: Session, spec: EncoderSpec, now: datetime) -> int:
    """The id of an encoder, adding it if it is new."""
    row = {
        "name": spec.name,
        "fingerprint": spec.fingerprint,
        "dimension": spec.dimension,
        "created_at": now,
    }
    insert_missing(session, Encoder, [row], key=["fingerprint"])
    return session.scalars(select(Encoder.id).where(Encoder.fingerprint == spec.fingerprint)).one()


def find_encoder(session: Session, spec: EncoderSpec) -> int | None:
    """The id of an encoder, None when it has never been used here."""
    return session.scalar(select(Encoder.id).where(Encoder.fingerprint == spec.fingerprint))


def add_embeddings(
    session: Session, encoder_id: int, vectors: Mapping[int, NDArray[np.float32]]
) -> None:
    """Store vectors by photo id; one already stored stays. The index will look at these photos.

    Zeros, for a photo in which the encoder finds nothing, are stored as an empty vector, and are
    nothing to the index.
    """
    seen = {photo_id for photo_id, vector in vectors.items() if vector.any()}
    rows = [
        {
            "encoder_id": encoder_id,
            "photo_id": photo_id,
            "vector": vector.astype(AT_REST).tobytes() if photo_id in seen else b"",
        }
        for photo_id, vector in vectors.items()
    ]
    insert_missing(session, Embedding, rows, key=["encoder_id", "photo_id"])
    record_changes(session, seen)


def embedded(session: Session, encoder_id: int, photo_ids: Collection[int]) -> set[int]:
    """Those of the photos that this encoder has embedded, also where it found nothing in them."""
    return _embedded(session, encoder_id, photo_ids, true())


def having_vector(session: Session, encoder_id: int, photo_ids: Collection[int]) -> set[int]:
    """Those of the photos of which this encoder has made a vector."""
    return _embedded(session, encoder_id, photo_ids, _HAS_VECTOR)


def vector_of_hash(session: Session, encoder_id: int, sha256: str) -> NDArray[np.float32] | None:
    """The stored vector of the photo with these bytes, if there is one."""
    stored = session.scalar(
        select(Embedding.vector)
        .join(Photo, Photo.id == Embedding.photo_id)
        .where(Embedding.encoder_id == encoder_id, Photo.sha256 == sha256, _HAS_VECTOR)
    )
    return None if stored is None else _unpack([(0, stored)])[1][0]


def live_vectors_of(session: Session, encoder_id: int, photo_ids: Sequence[int]) -> Vectors:
    """The vectors of those photos that have one and are shown by an active listing."""
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


def live_vectors_after(session: Session, encoder_id: int, photo_id: int) -> Vectors:
    """The next live vectors in order of photo id; none when there are no more."""
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


def count_live(session: Session, encoder_id: int) -> int:
    """How many photos have a vector of this encoder and are shown by an active listing."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Embedding)
            .where(Embedding.encoder_id == encoder_id, _HAS_VECTOR, is_shown(Embedding.photo_id))
        )
        or 0
    )


def photos_to_embed(session: Session, encoder_id: int | None) -> AbstractSet[int]:
    """Photos of active listings that this encoder has not embedded and no open job will."""
    is_embedded = exists().where(Embedding.encoder_id == encoder_id, Embedding.photo_id == Photo.id)
    # The jobs come second: the photos of one that is accepted in between are not queued twice.
    missing = IdSet(
        session.scalars(
            select(Photo.id)
            .where(~is_embedded, is_shown(Photo.id))
            .execution_options(yield_per=BATCH_ROWS)
        )
    )
    return missing - promised_photos(session)


def promised_photos(session: Session) -> IdSet:
    """The photos that open embed jobs will embed."""
    return IdSet(photo_id for _, photo_ids in open_embed_jobs(session) for photo_id in photo_ids)


def open_embed_jobs(session: Session) -> Iterator[tuple[UUID, list[int]]]:
    """The open embed jobs, each with the photos it will embed; read as they are asked for."""
    rows = session.execute(
        select(Job.id, Job.payload)
        .where(Job.type == JobType.EMBED, Job.status.in_(OPEN_STATUSES))
        .execution_options(yield_per=BATCH_ROWS)
    )
    return ((job_id, payload["photo_ids"]) for job_id, payload in rows)


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
    packed = np.frombuffer(b"".join(vector for _, vector in rows), AT_REST)
    vectors = packed.reshape(len(rows), -1).astype(np.float32)
    # Rounding to float16 moved the lengths a little; the index is promised unit vectors.
    return ids, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
