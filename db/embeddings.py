"""Embeddings and the encoders that made them. Needs numpy: the API never imports this module."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import exists, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.elements import ColumnElement

from db.changes import record_changes
from db.statements import chunks, insert_missing
from db.tables import Embedding, Encoder, Job, Listing, ListingPhoto, Photo
from models.domain import OPEN_STATUSES, EncoderSpec, JobType, ListingStatus

AT_REST = np.dtype("<f2")
BATCH_ROWS = 2_000

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
    """Store vectors by photo id; one already stored stays. The index will look at these photos."""
    rows = [
        {
            "encoder_id": encoder_id,
            "photo_id": photo_id,
            "vector": vector.astype(AT_REST).tobytes(),
        }
        for photo_id, vector in vectors.items()
    ]
    insert_missing(session, Embedding, rows, key=["encoder_id", "photo_id"])
    record_changes(session, vectors)


def embedded(session: Session, encoder_id: int, photo_ids: Collection[int]) -> set[int]:
    """Those of the photos that this encoder has embedded."""
    return {
        photo_id
        for chunk in chunks(photo_ids)
        for photo_id in session.scalars(
            select(Embedding.photo_id).where(
                Embedding.encoder_id == encoder_id, Embedding.photo_id.in_(chunk)
            )
        )
    }


def vector_of_hash(session: Session, encoder_id: int, sha256: str) -> NDArray[np.float32] | None:
    """The stored vector of the photo with these bytes, if there is one."""
    stored = session.scalar(
        select(Embedding.vector)
        .join(Photo, Photo.id == Embedding.photo_id)
        .where(Embedding.encoder_id == encoder_id, Photo.sha256 == sha256)
    )
    return None if stored is None else _unpack([(0, stored)])[1][0]


def live_vectors_of(session: Session, encoder_id: int, photo_ids: Sequence[int]) -> Vectors:
    """The vectors of those photos that are embedded and shown by an active listing."""
    rows = [
        (row.photo_id, row.vector)
        for chunk in chunks(photo_ids)
        for row in session.execute(
            select(Embedding.photo_id, Embedding.vector).where(
                Embedding.encoder_id == encoder_id,
                Embedding.photo_id.in_(chunk),
                _shown(Embedding.photo_id),
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
            _shown(Embedding.photo_id),
        )
        .order_by(Embedding.photo_id)
        .limit(BATCH_ROWS)
    ).all()
    return _unpack([(row.photo_id, row.vector) for row in rows])


def count_live(session: Session, encoder_id: int) -> int:
    """How many photos are embedded by this encoder and shown by an active listing."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Embedding)
            .where(Embedding.encoder_id == encoder_id, _shown(Embedding.photo_id))
        )
        or 0
    )


def photos_to_embed(session: Session, encoder_id: int | None) -> list[int]:
    """Photos of active listings that this encoder has not embedded and no open job will."""
    has_vector = exists().where(Embedding.encoder_id == encoder_id, Embedding.photo_id == Photo.id)
    missing = session.scalars(
        select(Photo.id).where(~has_vector, _shown(Photo.id)).order_by(Photo.id)
    ).all()
    promised = promised_photos(session)
    return [photo_id for photo_id in missing if photo_id not in promised]


def promised_photos(session: Session) -> dict[int, UUID]:
    """The photos that open embed jobs will embed, each with one of its jobs."""
    rows = session.execute(
        select(Job.id, Job.payload).where(Job.type == JobType.EMBED, Job.status.in_(OPEN_STATUSES))
    )
    return {photo_id: job_id for job_id, payload in rows for photo_id in payload["photo_ids"]}


def _shown(photo_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    return exists().where(
        ListingPhoto.photo_id == photo_id,
        Listing.id == ListingPhoto.listing_id,
        Listing.status == ListingStatus.ACTIVE,
    )


def _unpack(rows: Sequence[tuple[int, bytes]]) -> Vectors:
    """Ids (n,) int64 and vectors (n, d) float32; no rows give (0, 0)."""
    if not rows:
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)
    ids = np.array([photo_id for photo_id, _ in rows], np.int64)
    packed = np.frombuffer(b"".join(vector for _, vector in rows), AT_REST)
    vectors = packed.reshape(len(rows), -1).astype(np.float32)
    # Rounding to float16 moved the lengths a little; the index is promised unit vectors.
    return ids, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
