"""Registered encoders: which one is active, and which ones every photo is embedded by.

Needs no numpy: the API may import this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Select, bindparam, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.advisory_locks import hold_lock
from db.catalogue.listing_photos import count_photos, is_shown
from db.statements import insert_missing
from db.tables import Embedding, Encoder, Generation
from models.domain.clock import utc_now
from models.domain.errors import Conflict, NotFound
from models.domain.job_payloads import StoredJson
from models.domain.types import EncoderSpec, EncoderStatus, GenerationStatus

# An arbitrary key; no other lock in the same database may use it.
ENCODERS_LOCK = 0x4D4C_454E


@dataclass(frozen=True, slots=True)
class EncoderSummary:
    """An encoder, how many shown photos it has embedded and has not, and its live generation."""

    encoder: Encoder
    embedded: int
    missing: int
    generation_id: int | None


def register_encoder(session: Session, spec: EncoderSpec, now: datetime) -> int:
    """The id of an encoder, adding it if it is new."""
    row = {
        "name": spec.name,
        "fingerprint": spec.fingerprint,
        "dimension": spec.dimension,
        "precision": spec.precision,
        "status": EncoderStatus.REGISTERED,
        "created_at": now,
    }
    insert_missing(session, Encoder, [row], key=["fingerprint"])
    return session.scalars(select(Encoder.id).where(Encoder.fingerprint == spec.fingerprint)).one()


def get_encoder(session: Session, encoder_id: int) -> Encoder:
    """The encoder. Raises NotFound."""
    encoder = session.get(Encoder, encoder_id)
    if encoder is None:
        raise NotFound("There is no such encoder.")
    return encoder


def find_encoder(session: Session, spec: EncoderSpec) -> Encoder | None:
    """The encoder that was registered as this one, if it was."""
    return session.scalar(select(Encoder).where(Encoder.fingerprint == spec.fingerprint))


def encoder_named(session: Session, reference: str) -> Encoder:
    """The encoder of this label, fingerprint, or beginning of either. Raises NotFound."""
    encoders = all_encoders(session)
    found = [row for row in encoders if reference in {row.spec.label, row.fingerprint}]
    found = found or [
        row
        for row in encoders
        if reference
        and (row.spec.label.startswith(reference) or row.fingerprint.startswith(reference))
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(row.spec.label for row in found or encoders) or "none"
    problem = "More than one encoder is" if found else "No encoder that is registered is"
    raise NotFound(f"{problem} named {reference!r}; there are {known}.")


def all_encoders(session: Session) -> Sequence[Encoder]:
    """Every encoder, in the order in which they came."""
    return session.scalars(select(Encoder).order_by(Encoder.id)).all()


def active_encoder(session: Session) -> Encoder | None:
    """The encoder that searches use; None until the first process has chosen one."""
    return session.scalar(_with_status(EncoderStatus.ACTIVE))


def followed_encoders(session: Session) -> list[Encoder]:
    """The encoders that every photo is embedded by, the active one first."""
    rows = session.scalars(_with_status(EncoderStatus.ACTIVE, EncoderStatus.FOLLOWED))
    return sorted(rows, key=lambda row: row.status is not EncoderStatus.ACTIVE)


def established_encoders(session: Session) -> list[Encoder]:
    """The active encoder and the formerly active ones that are followed: they should lack no photo.

    An encoder that was never active is left to its migration, which queues the missing photos in
    small batches: a whole catalogue at once would delay new listings.
    """
    return [row for row in followed_encoders(session) if row.activated_at is not None]


def previous_encoder(session: Session) -> Encoder | None:
    """The encoder that was active before, if it is still followed."""
    before = [
        (row.activated_at, row)
        for row in established_encoders(session)
        if row.activated_at and row.status is EncoderStatus.FOLLOWED
    ]
    return max(before, key=lambda item: item[0])[1] if before else None


def active_encoder_in_use(session: Session) -> bool:
    """Whether the choice is the database's: an encoder is active, and a photo has been embedded."""
    is_active = exists().where(Encoder.status == EncoderStatus.ACTIVE)
    return bool(session.scalar(select(is_active & exists(select(Embedding.photo_id)))))


def set_matching(session: Session, encoder_id: int, matching: StoredJson) -> None:
    """Store the match labels of an encoder. Raises NotFound."""
    get_encoder(session, encoder_id).matching = matching


def matching_of(session: Session, encoder_id: int) -> StoredJson | None:
    """The stored match labels of an encoder; None where there are none."""
    return session.scalar(_MATCHING, {"its_id": encoder_id})


# Built once: every search needs it.
_MATCHING = select(Encoder.matching).where(Encoder.id == bindparam("its_id"))


def activate_initial_encoder(session: Session, spec: EncoderSpec, now: datetime) -> Encoder:
    """Make this encoder the active one, unless one is and has made embeddings; gives the active."""
    _lock_encoders(session)
    encoder_id = register_encoder(session, spec, now)
    active = active_encoder(session)
    if active is not None and (active.id == encoder_id or active_encoder_in_use(session)):
        return active
    if active is not None:
        active.status = EncoderStatus.REGISTERED
        active.activated_at = None  # no search has used it
        session.flush()
    return _make_active(session, encoder_id, now)


def follow_encoder(session: Session, encoder_id: int) -> Encoder:
    """Embed every new photo by this encoder too, from this commit on. Raises NotFound."""
    _lock_encoders(session)
    encoder = get_encoder(session, encoder_id)
    if encoder.status is not EncoderStatus.ACTIVE:
        encoder.status = EncoderStatus.FOLLOWED
        encoder.retired_at = None
    session.flush()
    return encoder


def activate_encoder(
    session: Session, encoder_id: int, now: datetime, *, force: bool = False
) -> Encoder:
    """Use this encoder for searches, from this commit on; the one before stays followed.

    Raises NotFound, and, unless forced, Conflict when it lacks photos that the active one has
    embedded, or has no live generation.
    """
    _lock_encoders(session)
    encoder = get_encoder(session, encoder_id)
    active = active_encoder(session)
    if encoder is active:
        return encoder
    if not force:
        _refuse_incomplete(session, encoder, active)
    if active is not None:
        active.status = EncoderStatus.FOLLOWED
        # Flushed first: the unique index allows one active encoder at a time.
        session.flush()
    return _make_active(session, encoder_id, now)


def retire_encoder(session: Session, encoder_id: int) -> Encoder:
    """Stop embedding new photos by this encoder. Its vectors are kept for a time.

    Raises NotFound, and Conflict if it is the active one or an index of it is being built.
    """
    _lock_encoders(session)
    encoder = get_encoder(session, encoder_id)
    label = encoder.spec.label
    if encoder.status is EncoderStatus.ACTIVE:
        raise Conflict(f"{label} is active: activate another encoder before retiring it.")
    if _has_generation(session, encoder_id, GenerationStatus.BUILDING):
        raise Conflict(f"An index of {label} is being built: retire it when that has ended.")
    encoder.status = EncoderStatus.RETIRED
    encoder.retired_at = utc_now()
    # If it is followed again, it lacks photos like one that was never active.
    encoder.activated_at = None
    session.flush()
    return encoder


def summarise_encoders(session: Session) -> list[EncoderSummary]:
    """Every encoder, with its counts and its live generation."""
    shown = count_photos(session)
    return [
        EncoderSummary(
            encoder, embedded := _count_shown(session, encoder.id), shown - embedded, live
        )
        for encoder, live in session.execute(
            select(Encoder, Generation.id)
            .outerjoin(
                Generation,
                (Generation.encoder_id == Encoder.id)
                & (Generation.status == GenerationStatus.LIVE),
            )
            .order_by(Encoder.id)
        )
    ]


def count_lacking(session: Session, encoder_id: int, other_id: int) -> int:
    """How many shown photos the other encoder has embedded and this one has not."""
    own = aliased(Embedding)
    is_embedded = exists().where(own.encoder_id == encoder_id, own.photo_id == Embedding.photo_id)
    statement = (
        select(func.count())
        .select_from(Embedding)
        .where(Embedding.encoder_id == other_id, ~is_embedded, is_shown(Embedding.photo_id))
    )
    return session.scalars(statement).one()


def _lock_encoders(session: Session) -> None:
    """Serialise changes of encoders' statuses. SQLite has a single writer anyway."""
    hold_lock(session, ENCODERS_LOCK)
    # What was read before may have been changed by the transaction that held the lock.
    session.flush()
    session.expire_all()


def _make_active(session: Session, encoder_id: int, now: datetime) -> Encoder:
    encoder = get_encoder(session, encoder_id)
    encoder.status = EncoderStatus.ACTIVE
    encoder.activated_at = now
    encoder.retired_at = None
    session.flush()
    return encoder


def _refuse_incomplete(session: Session, encoder: Encoder, active: Encoder | None) -> None:
    label = encoder.spec.label
    # Photos that the active one has not embedded either can't be found now, so they do not count.
    lacking = 0 if active is None else count_lacking(session, encoder.id, active.id)
    if lacking:
        raise Conflict(
            f"{lacking:,} photos are not embedded by {label}: `marketlens encoder migrate {label}` "
            "has that done."
        )
    if not _has_generation(session, encoder.id, GenerationStatus.LIVE):
        raise Conflict(
            f"{label} has no index yet: `marketlens encoder migrate {label}` has one built."
        )


def _has_generation(session: Session, encoder_id: int, status: GenerationStatus) -> bool:
    found = exists().where(Generation.encoder_id == encoder_id, Generation.status == status)
    return bool(session.scalar(select(found)))


def _count_shown(session: Session, encoder_id: int) -> int:
    statement = (
        select(func.count())
        .select_from(Embedding)
        .where(Embedding.encoder_id == encoder_id, is_shown(Embedding.photo_id))
    )
    return session.scalars(statement).one()


@cache
def _with_status(*statuses: EncoderStatus) -> Select[Encoder]:
    return select(Encoder).where(Encoder.status.in_(statuses)).order_by(Encoder.id)
