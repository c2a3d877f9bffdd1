"""Learned weights of recommendations: which are in use, and which were.

Needs no numpy: the API may import this module.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.advisory_locks import hold_lock
from db.tables import Ranker
from models.domain.errors import ChangedMeanwhile, Conflict, NotFound
from models.domain.job_payloads import StoredJson
from models.domain.searches.options import RankPart, RankWeights
from models.domain.types import RankerStatus

# An arbitrary key; no other lock in the same database may use it.
RANKERS_LOCK = 0x4D4C_524B

# Built once: every recommendation needs it.
_ACTIVE = select(Ranker).where(Ranker.status == RankerStatus.ACTIVE)
_ACTIVE_WEIGHTS = select(Ranker.weights).where(Ranker.status == RankerStatus.ACTIVE)


def active_weights(session: Session) -> RankWeights | None:
    """The learned weights in use; None where nothing was learned, and the defaults hold."""
    stored = session.scalar(_ACTIVE_WEIGHTS)
    return None if stored is None else stored_weights(stored)


def stored_weights(stored: StoredJson) -> RankWeights:
    """Weights as they were stored. A part that was not known then has none."""
    weights = {part.value: stored.get(part.value) for part in RankPart}
    return RankWeights(
        **{
            name: float(weight) if isinstance(weight, int | float) else 0.0
            for name, weight in weights.items()
        }
    )


def register_ranker(
    session: Session, weights: RankWeights, measured: StoredJson, now: datetime
) -> Ranker:
    """Store weights, and what was measured of them. They are not used yet."""
    ranker = Ranker(
        weights={part.value: weights.of(part) for part in RankPart if weights.of(part)},
        measured=measured,
        status=RankerStatus.REGISTERED,
        created_at=now,
    )
    session.add(ranker)
    session.flush()
    return ranker


def get_ranker(session: Session, ranker_id: int) -> Ranker:
    """The ranker. Raises NotFound."""
    ranker = session.get(Ranker, ranker_id)
    if ranker is None:
        raise NotFound(f"There are no weights {ranker_id}: `marketlens rank list` shows all.")
    return ranker


def all_rankers(session: Session) -> Sequence[Ranker]:
    """Every ranker, in the order in which they came."""
    return session.scalars(select(Ranker).order_by(Ranker.id)).all()


def active_ranker(session: Session) -> Ranker | None:
    """The ranker in use; None where the defaults are."""
    return session.scalar(_ACTIVE)


def activate_ranker(session: Session, ranker_id: int | None, now: datetime) -> Ranker | None:
    """Use these weights from this commit on; None for the defaults. Raises NotFound."""
    _lock_rankers(session)
    return _activate(session, ranker_id, now)


def activate_tried(
    session: Session, ranker_id: int, tried_against: int | None, now: datetime
) -> None:
    """Use weights that were compared with those of another ranker, or with the defaults.

    Raises ChangedMeanwhile when these are not in use any more.
    """
    _lock_rankers(session)
    active = active_ranker(session)
    in_use = None if active is None else active.id
    if in_use != tried_against:
        raise ChangedMeanwhile(
            "Other weights have been activated meanwhile, which these were not compared with: "
            "`marketlens rank train` compares again."
        )
    _activate(session, ranker_id, now)


def roll_back(session: Session, now: datetime) -> Ranker | None:
    """Use what was in use before; gives it, None for the defaults.

    Raises Conflict when nothing but the defaults was ever in use.
    """
    _lock_rankers(session)
    active = active_ranker(session)
    if active is not None:
        return _activate(session, active.replaced_id, now)
    # The defaults are only ever returned to from what was active last.
    last = session.scalar(
        select(Ranker)
        .where(Ranker.activated_at.is_not(None))
        .order_by(Ranker.activated_at.desc(), Ranker.id.desc())
        .limit(1)
    )
    if last is None:
        raise Conflict("No other weights than the default ones have been in use.")
    return _activate(session, last.id, now)


def _lock_rankers(session: Session) -> None:
    """Serialise changes of statuses. SQLite has a single writer anyway."""
    hold_lock(session, RANKERS_LOCK)
    # What was read before may have been changed by the transaction that held the lock.
    session.flush()
    session.expire_all()


def _activate(session: Session, ranker_id: int | None, now: datetime) -> Ranker | None:
    ranker = None if ranker_id is None else get_ranker(session, ranker_id)
    active = active_ranker(session)
    if ranker is active:
        return ranker
    if active is not None:
        active.status = RankerStatus.RETIRED
        # Flushed first: the unique index allows one active ranker at a time.
        session.flush()
    if ranker is not None:
        ranker.status = RankerStatus.ACTIVE
        ranker.activated_at = now
        ranker.replaced_id = None if active is None else active.id
        session.flush()
    return ranker
