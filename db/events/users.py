"""Keys of users and of events: their ids, which may say who somebody is, are never written.

A key is the BLAKE2b hash of the id (RFC 7693, 128 bits) under the deployment's random id: in
another database the same user has another key.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from sqlalchemy.orm import Session

from db.deployment import deployment_id

KEY_BYTES: Final = 16
# `person` keeps a user and an event of the same id apart.
_USER: Final = b"user"
_EVENT: Final = b"event"


def user_key(session: Session, user: str) -> bytes:
    """The key of a user: 16 bytes."""
    return user_keys(session, [user])[0]


def user_keys(session: Session, users: Sequence[str]) -> list[bytes]:
    """The keys of users, in their order."""
    return _keys(session, users, _USER)


def event_keys(session: Session, event_ids: Sequence[str]) -> list[bytes]:
    """The keys of events by their ids, which may have users' ids in them: 16 bytes each."""
    return _keys(session, event_ids, _EVENT)


def _keys(session: Session, ids: Sequence[str], person: bytes) -> list[bytes]:
    secret = deployment_id(session).encode()
    return [
        blake2b(
            one.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES, key=secret, person=person
        ).digest()
        for one in ids
    ]
