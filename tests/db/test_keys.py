"""API keys are found by their hash until they are revoked."""

import pytest
from sqlalchemy import select

from db.keys import count_keys, create_key, find_key, revoke_keys
from db.session import Database
from db.tables import ApiKey
from models.domain.errors import NotFound
from models.domain.types import Scope
from tests.support.clock import Clock


def test_key_is_known_until_revoked_and_never_stored(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        key = create_key(session, "shop", [Scope.SEARCH, Scope.WRITE], clock())
    with any_database.write() as session:
        holder = find_key(session, key)
        assert holder is not None
        assert (holder.name, holder.scopes) == ("shop", frozenset({Scope.SEARCH, Scope.WRITE}))
        assert find_key(session, key + "x") is None
        assert key not in str([vars(row) for row in session.scalars(select(ApiKey))])
        assert count_keys(session) == 1
        assert revoke_keys(session, "shop", clock()) == 1
    with any_database.write() as session:
        assert find_key(session, key) is None
        assert count_keys(session) == 0
        with pytest.raises(NotFound):
            revoke_keys(session, "shop", clock())
