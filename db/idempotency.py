"""Keys that callers give to requests, so that one that is repeated makes nothing again.

A request claims its key before it does anything, and completes the claim in the transaction of what
it makes (draft-ietf-httpapi-idempotency-key-header-07, section 2). Until then the claim is a lease:
the key of a process that was killed is free again soon. Whoever has lost the claim meanwhile makes
nothing: completing it fails, and with it the transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, null, select, tuple_, update
from sqlalchemy.orm import Session

from db.statements import upsert
from db.tables import IdempotencyKey
from models.domain.errors import IdempotencyInFlight, IdempotencyKeyReused
from models.domain.job_payloads import StoredJson

KEPT: Final = timedelta(hours=24)
"""How long an answer is given again."""
LEASE: Final = timedelta(seconds=15)
"""How long a request that does not renew its claim owns it."""
PURGED_AT_ONCE: Final = 10_000
NOT_DONE: Final = (
    "The first request with this Idempotency-Key is not done yet: send this one again in a moment."
)

# For a column of JSON, None is the value null.
_NO_ANSWER: Final = {name: null() for name in ("status", "location", "body", "job_id")}


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with a key. `holder` and `fingerprint` are SHA-256, `holder` empty of no caller."""

    holder: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The ownership of a key by one request; `token` is unique."""

    holder: str
    key: str
    token: UUID


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request that has made something.

    The job, if it has made one, is shown as it is when the answer is given: alone, or as the member
    `job` of `body`.
    """

    status: int
    location: str | None = None
    body: StoredJson | None = None
    job_id: UUID | None = None


def find_answer(session: Session, request: KeyedRequest, now: datetime) -> Answer | None:
    """The stored answer to this request, None if its key is free.

    Raises IdempotencyKeyReused if the key is another request's, and IdempotencyInFlight.
    """
    row = session.get(IdempotencyKey, (request.holder, request.key))
    if row is None or row.expires_at <= now:
        return None
    if row.fingerprint != request.fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key came with another request: use a new one.")
    if row.status is None:
        raise IdempotencyInFlight(NOT_DONE)
    return Answer(row.status, row.location, row.body, row.job_id)


def claim_key(session: Session, request: KeyedRequest, token: UUID, now: datetime) -> Claim | None:
    """Claim a key, None if it is not free. Of several that try at once, one succeeds."""
    claimed_by = {
        "fingerprint": request.fingerprint,
        "claim": token,
        "expires_at": now + LEASE,
        **_NO_ANSWER,
    }
    claiming = upsert(session, IdempotencyKey).values(
        holder=request.holder, key=request.key, **claimed_by
    )
    claiming = claiming.on_conflict_do_update(
        index_elements=["holder", "key"], set_=claimed_by, where=IdempotencyKey.expires_at <= now
    )
    claimed = session.execute(claiming.returning(IdempotencyKey.claim)).one_or_none()
    return None if claimed is None else Claim(request.holder, request.key, token)


def renew_claim(session: Session, claim: Claim, now: datetime) -> None:
    """Own the key for another lease, unless the claim is completed or lost."""
    session.execute(update(IdempotencyKey).where(_open(claim)).values(expires_at=now + LEASE))


def complete_claim(session: Session, claim: Claim, answer: Answer, now: datetime) -> None:
    """Store the answer, in the transaction of what the request makes.

    Raises IdempotencyInFlight if the claim was lost: then nothing must be made.
    """
    completed = session.execute(
        update(IdempotencyKey)
        .where(_open(claim))
        .values(
            status=answer.status,
            location=answer.location,
            body=null() if answer.body is None else answer.body,
            job_id=answer.job_id,
            expires_at=now + KEPT,
        )
        .returning(IdempotencyKey.claim)
    ).one_or_none()
    if completed is None:
        raise IdempotencyInFlight(
            "This took so long that another request has its Idempotency-Key: send it again."
        )


def release_claim(session: Session, claim: Claim) -> None:
    """Free the key of a request that has made nothing; an answer that is stored stays."""
    session.execute(delete(IdempotencyKey).where(_open(claim)))


def any_expired(session: Session, now: datetime) -> bool:
    """Whether some key has expired."""
    return bool(session.scalar(select(exists().where(IdempotencyKey.expires_at <= now))))


def purge_expired(session: Session, now: datetime) -> int:
    """Delete expired keys, so many at once; returns how many."""
    has_expired = IdempotencyKey.expires_at <= now
    primary_key = tuple_(IdempotencyKey.holder, IdempotencyKey.key)
    some = select(IdempotencyKey.holder, IdempotencyKey.key).where(has_expired)
    purged = session.execute(
        # The time is asked for again: one may have been claimed meanwhile.
        delete(IdempotencyKey)
        .where(primary_key.in_(some.limit(PURGED_AT_ONCE)), has_expired)
        .returning(IdempotencyKey.claim)
        .execution_options(synchronize_session=False)
    ).all()
    return len(purged)


def _open(claim: Claim) -> ColumnElement[bool]:
    return and_(
        IdempotencyKey.holder == claim.holder,
        IdempotencyKey.key == claim.key,
        IdempotencyKey.claim == claim.token,
        IdempotencyKey.status.is_(None),
    )
