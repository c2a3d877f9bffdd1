"""API keys: created here, stored as hashes, checked by hash.

A key is valid until it expires or is revoked.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from db.tables import ApiKey
from models.domain.errors import KeyExpired, NotFound
from models.domain.types import Scope

PREFIX = "mk_"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The holder of an API key, and its scopes. `id` is that of the key's row."""

    id: int
    name: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class RotatedKey:
    """A key that takes the place of others, which are valid until `others_until` at most."""

    key: str
    expires_at: datetime | None
    others: int
    others_until: datetime


def create_key(
    session: Session,
    name: str,
    scopes: Collection[Scope],
    now: datetime,
    *,
    lifetime: timedelta | None = None,
) -> str:
    """A new key, valid for `lifetime`, or until it is revoked.

    It can't be read again: only its hash is stored.
    """
    key = PREFIX + token_urlsafe(32)
    expires_at = None if lifetime is None else now + lifetime
    session.add(
        ApiKey(
            name=name,
            sha256=_digest(key),
            scopes=sorted(set(scopes)),
            created_at=now,
            expires_at=expires_at,
        )
    )
    session.flush()
    return key


def find_key(session: Session, key: str, now: datetime) -> KeyHolder | None:
    """Who holds this key, if it is known and not revoked. Raises KeyExpired."""
    row = session.execute(
        select(ApiKey.id, ApiKey.name, ApiKey.scopes, ApiKey.expires_at).where(
            ApiKey.sha256 == _digest(key), ApiKey.revoked_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        return None
    if row.expires_at is not None and row.expires_at <= now:
        raise KeyExpired(
            f"This API key expired at {row.expires_at:%Y-%m-%d %H:%M} UTC: ask for a new one, made "
            "by `marketlens keys rotate`."
        )
    return KeyHolder(row.id, row.name, frozenset(map(Scope, row.scopes)))


def rotate_key(
    session: Session,
    name: str,
    now: datetime,
    overlap: timedelta,
    *,
    lifetime: timedelta | None = None,
) -> RotatedKey:
    """A new key for the holder of that name, with the newest one's scopes and lifetime.

    The others of that name expire after `overlap`, unless they do so before. `lifetime` is another
    one for the new key. Raises NotFound when there is no key that is not revoked.
    """
    rows = session.scalars(
        select(ApiKey)
        .where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
        .order_by(ApiKey.id.desc())
        .with_for_update()
    ).all()
    if not rows:
        raise NotFound(f"There is no key named {name!r}: `marketlens keys create` makes one.")
    newest = rows[0]
    if lifetime is None and newest.expires_at is not None:
        lifetime = newest.expires_at - newest.created_at
    until = now + overlap
    others = 0
    for row in rows:
        if row.expires_at is None or row.expires_at > now:
            row.expires_at = min(row.expires_at or until, until)
            others += 1
    scopes = [Scope(scope) for scope in newest.scopes]
    key = create_key(session, name, scopes, now, lifetime=lifetime)
    return RotatedKey(key, None if lifetime is None else now + lifetime, others, until)


def revoke_keys(session: Session, name: str, now: datetime) -> int:
    """Revoke every key of that name; returns how many. Raises NotFound when there is none."""
    revoked = session.execute(
        update(ApiKey)
        .where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(ApiKey.id)
    ).all()
    if not revoked:
        raise NotFound(f"There is no key named {name!r}.")
    return len(revoked)


def record_use(session: Session, key_ids: Collection[int], now: datetime) -> None:
    """Record that these keys were used just now."""
    session.execute(update(ApiKey).where(ApiKey.id.in_(key_ids)).values(last_used_at=now))


def all_keys(session: Session, *, with_revoked: bool = False) -> Sequence[ApiKey]:
    """Keys by name, and of each name the oldest first; expired ones, too."""
    statement = select(ApiKey).order_by(ApiKey.name, ApiKey.id)
    if not with_revoked:
        statement = statement.where(ApiKey.revoked_at.is_(None))
    return session.scalars(statement).all()


def count_keys(session: Session, now: datetime) -> int:
    """How many keys are valid."""
    is_valid = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    statement = select(func.count()).where(ApiKey.revoked_at.is_(None), is_valid)
    return session.scalar(statement) or 0


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()
