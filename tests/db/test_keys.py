"""API keys are found by their hash until they expire or are revoked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from db.access.keys import (
    all_keys,
    count_keys,
    create_key,
    find_key,
    record_use,
    revoke_keys,
    rotate_key,
)
from db.session import Database
from db.statements import table_of
from db.tables import ApiKey
from models.domain.errors import KeyExpired, NotFound
from models.domain.types import Scope
from tests.support.clock import Clock

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_key_is_known_until_revoked_and_never_stored(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        key = create_key(session, "shop", [Scope.SEARCH, Scope.WRITE], clock())
    with any_database.write() as session:
        holder = find_key(session, key, clock())
        assert holder is not None
        assert (holder.name, holder.scopes) == ("shop", frozenset({Scope.SEARCH, Scope.WRITE}))
        assert find_key(session, key + "x", clock()) is None
        assert key not in str([vars(row) for row in session.scalars(select(ApiKey))])
        assert count_keys(session, clock()) == 1
        assert revoke_keys(session, "shop", clock()) == 1
    with any_database.write() as session:
        assert find_key(session, key, clock()) is None
        assert count_keys(session, clock()) == 0
        assert all_keys(session) == []
        assert [row.name for row in all_keys(session, with_revoked=True)] == ["shop"]
        with pytest.raises(NotFound):
            revoke_keys(session, "shop", clock())


def test_a_key_that_has_expired_says_so_and_is_not_counted(
    any_database: Database, clock: Clock
) -> None:
    with any_database.write() as session:
        lasting = create_key(session, "shop", [Scope.SEARCH], clock(), lifetime=HOUR)
        expired = create_key(session, "old", [Scope.SEARCH], clock() - 2 * HOUR, lifetime=HOUR)
    with any_database.read() as session:
        holder = find_key(session, lasting, clock())
        assert holder is not None
        assert holder.name == "shop"
        with pytest.raises(KeyExpired, match=r"expired at 20\d\d-\d\d-\d\d .* UTC.*keys rotate"):
            find_key(session, expired, clock())
        assert find_key(session, expired + "x", clock()) is None
        assert count_keys(session, clock()) == 1
        assert [row.name for row in all_keys(session)] == ["old", "shop"]


def test_a_rotated_key_is_valid_for_the_overlap_beside_the_new_one(
    any_database: Database, clock: Clock
) -> None:
    with any_database.write() as session:
        first = create_key(session, "shop", [Scope.SEARCH, Scope.WRITE], clock(), lifetime=90 * DAY)
        other = create_key(session, "other", [Scope.SEARCH], clock())
    with any_database.write() as session:
        rotated = rotate_key(session, "shop", clock(), HOUR)
    with any_database.read() as session:
        for key in (first, rotated.key):
            holder = find_key(session, key, clock())
            assert holder is not None
            assert (holder.name, holder.scopes) == ("shop", frozenset({Scope.SEARCH, Scope.WRITE}))
        assert find_key(session, other, clock()) is not None
        until = {row.id: row.expires_at for row in all_keys(session) if row.name == "shop"}
        assert list(until.values()) == [rotated.others_until, rotated.expires_at]
    with any_database.write() as session:
        again = rotate_key(session, "shop", clock(), timedelta(0), lifetime=30 * DAY)
        assert again.others == 2
        assert again.expires_at == clock() + 30 * DAY
    with any_database.write() as session:
        for key in (first, rotated.key):
            with pytest.raises(KeyExpired):
                find_key(session, key, clock())
        assert find_key(session, again.key, clock()) is not None
        assert revoke_keys(session, "shop", clock()) == 3
        with pytest.raises(NotFound):
            rotate_key(session, "shop", clock(), HOUR)


def test_an_expired_key_can_be_rotated_and_stays_expired(database: Database, clock: Clock) -> None:
    with database.write() as session:
        old = create_key(session, "shop", [Scope.EVENTS], clock() - 2 * DAY, lifetime=DAY)
        rotated = rotate_key(session, "shop", clock(), HOUR)
    with database.read() as session:
        assert rotated.others == 0
        assert rotated.expires_at == clock() + DAY
        assert find_key(session, rotated.key, clock()) is not None
        with pytest.raises(KeyExpired):
            find_key(session, old, clock())


@given(
    lifetimes=st.lists(st.none() | st.integers(1, 1_000), min_size=1, max_size=4),
    overlap=st.integers(0, 1_000),
)
def test_rotation_never_makes_a_key_last_longer(lifetimes: list[int | None], overlap: int) -> None:
    engine = create_engine("sqlite://")
    table_of(ApiKey).create(engine)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    ends = [None if hours is None else at + hours * HOUR for hours in lifetimes]
    with Session(engine) as session:
        for hours in lifetimes:
            lifetime = None if hours is None else hours * HOUR
            create_key(session, "shop", [Scope.SEARCH], at, lifetime=lifetime)
        rotated = rotate_key(session, "shop", at, overlap * HOUR)
        *others, new = all_keys(session)
        for before, row in zip(ends, others, strict=True):
            assert row.expires_at is not None
            assert row.expires_at == min(before or rotated.others_until, at + overlap * HOUR)
        assert new.expires_at == ends[-1]
    engine.dispose()


def test_the_last_use_is_of_the_key_that_was_used(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        key = create_key(session, "used", [Scope.SEARCH], clock())
        create_key(session, "unused", [Scope.SEARCH], clock())
    with any_database.write() as session:
        holder = find_key(session, key, clock())
        assert holder is not None
        record_use(session, {holder.id}, clock())
    with any_database.read() as session:
        used = {row.name: row.last_used_at for row in all_keys(session)}
        assert used == {"unused": None, "used": clock()}
