"""API keys: created here, stored as hashes, checked by hash."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from secrets import token_urlsafe

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.tables import ApiKey
from models.domain.errors import NotFound
from models.domain.types import Scope

PREFIX = "mk_"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The holder of an API key, and its scopes."""

    name: str
    scopes: frozenset[Scope]


def create_key(session: Session, name: str, scopes: Collection[Scope], now: datetime) -> str:
    """A new key. It can't be read again: only its hash is stored."""
    key = PREFIX + token_urlsafe(32)
    session.add(ApiKey(name=name, sha256=_digest(key), scopes=sorted(scopes), created_at=now))
    session.flush()
    return key


def find_key(session: Session, key: str) -> KeyHolder | None:
    """Who holds this key, if it is known and not revoked."""
    row = session.scalar(
        select(ApiKey).where(ApiKey.sha256 == _digest(key), ApiKey.revoked_at.is_(None))
    )
    return None if row is None else KeyHolder(row.name, frozenset(map(Scope, row.scopes)))


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


def count_keys(session: Session) -> int:
    """How many keys are valid."""
    return (
        session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None)))
        or 0
    )


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()
