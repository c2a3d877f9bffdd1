"""Keys of requests: claimed by one, completed with what it makes, free again after their time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from db.idempotency import (
    KEPT,
    LEASE,
    Answer,
    Claim,
    KeyedRequest,
    any_expired,
    claim_key,
    complete_claim,
    find_answer,
    purge_expired,
    release_claim,
    renew_claim,
)
from db.session import Database
from db.tables import IdempotencyKey
from models.domain.errors import IdempotencyInFlight, IdempotencyKeyReused
from tests.support.clock import Clock

REQUEST = KeyedRequest("a" * 64, "a key", "f" * 64)
MADE = Answer(202, "/v1/things/7", {"id": 7, "words": ["ß", None]}, UUID(int=7))


def claimed(database: Database, clock: Clock, request: KeyedRequest = REQUEST) -> Claim | None:
    with database.write() as session:
        return claim_key(session, request, uuid4(), clock())


def owned(database: Database, clock: Clock, request: KeyedRequest = REQUEST) -> Claim:
    claim = claimed(database, clock, request)
    assert claim is not None
    return claim


def answer(database: Database, clock: Clock, request: KeyedRequest = REQUEST) -> Answer | None:
    with database.read() as session:
        return find_answer(session, request, clock())


def complete(database: Database, clock: Clock, claim: Claim, made: Answer = MADE) -> None:
    with database.write() as session:
        complete_claim(session, claim, made, clock())


def test_an_answer_is_given_again_for_a_day(any_database: Database, clock: Clock) -> None:
    assert answer(any_database, clock) is None
    complete(any_database, clock, owned(any_database, clock))
    clock.advance(hours=23, minutes=59)
    assert answer(any_database, clock) == MADE
    assert claimed(any_database, clock) is None
    clock.advance(minutes=1)
    assert answer(any_database, clock) is None
    complete(any_database, clock, owned(any_database, clock), Answer(201))
    assert answer(any_database, clock) == Answer(201)


def test_while_in_flight_there_is_no_answer_and_no_second_claim(
    any_database: Database, clock: Clock
) -> None:
    claim = owned(any_database, clock)
    for _ in range(3):
        clock.advance(seconds=LEASE.total_seconds() - 1)
        with pytest.raises(IdempotencyInFlight):
            answer(any_database, clock)
        assert claimed(any_database, clock) is None
        with any_database.write() as session:
            renew_claim(session, claim, clock())
    complete(any_database, clock, claim)
    assert answer(any_database, clock) == MADE


def test_of_a_killed_process_the_key_is_free_again_and_it_can_make_nothing_more(
    any_database: Database, clock: Clock
) -> None:
    lost = owned(any_database, clock)
    clock.advance(seconds=LEASE.total_seconds())
    assert answer(any_database, clock) is None
    taken = owned(any_database, clock)
    with pytest.raises(IdempotencyInFlight):
        complete(any_database, clock, lost)
    with any_database.write() as session:
        release_claim(session, lost)  # it is another's by now
        renew_claim(session, lost, clock() + timedelta(days=9))
    complete(any_database, clock, taken)
    with pytest.raises(IdempotencyInFlight):
        complete(any_database, clock, lost)
    assert answer(any_database, clock) == MADE


def test_a_released_key_is_free_and_an_answer_is_not_released(
    any_database: Database, clock: Clock
) -> None:
    for _ in range(2):
        claim = owned(any_database, clock)
        with any_database.write() as session:
            release_claim(session, claim)
        assert answer(any_database, clock) is None
    claim = owned(any_database, clock)
    complete(any_database, clock, claim)
    with any_database.write() as session:
        release_claim(session, claim)
    assert answer(any_database, clock) == MADE


def test_another_request_and_another_holder(any_database: Database, clock: Clock) -> None:
    claim = owned(any_database, clock)
    other_body = KeyedRequest(REQUEST.holder, REQUEST.key, "e" * 64)
    other_caller = KeyedRequest("", REQUEST.key, "e" * 64)
    for end in (None, claim):
        if end is not None:
            complete(any_database, clock, end)
        with pytest.raises(IdempotencyKeyReused):
            answer(any_database, clock, other_body)
        assert answer(any_database, clock, other_caller) is None
    complete(any_database, clock, owned(any_database, clock, other_caller), Answer(200))
    assert answer(any_database, clock) == MADE


def test_of_many_at_once_one_claims(any_database: Database, clock: Clock) -> None:
    many = 12
    together = Barrier(many)

    def race(_: int) -> Claim | None:
        together.wait(20)
        return claimed(any_database, clock)

    with ThreadPoolExecutor(many) as threads:
        for _ in range(3):
            won = [claim for claim in threads.map(race, range(many)) if claim]
            assert len(won) == 1
            clock.advance(seconds=LEASE.total_seconds())


def test_purging_deletes_what_has_expired(any_database: Database, clock: Clock) -> None:
    first, second = (KeyedRequest("", name, "f" * 64) for name in ("first", "second"))
    complete(any_database, clock, owned(any_database, clock, first))
    with any_database.write() as session:
        assert not any_expired(session, clock())
        assert purge_expired(session, clock()) == 0
    clock.advance(seconds=(KEPT - LEASE / 2).total_seconds())
    owned(any_database, clock, second)
    clock.advance(seconds=LEASE.total_seconds() / 2)
    with any_database.write() as session:
        assert any_expired(session, clock())
        assert purge_expired(session, clock()) == 1
        assert purge_expired(session, clock()) == 0
    clock.advance(seconds=LEASE.total_seconds())
    with any_database.write() as session:
        assert purge_expired(session, clock()) == 1
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0


@dataclass
class History:
    """Three callers, of which any may be late, beside what one variable says of the key."""

    database: Database
    clock: Clock
    request: KeyedRequest
    until: datetime
    claims: dict[int, Claim] = field(default_factory=dict)
    owner: Claim | None = None
    stored: Answer | None = None

    def owns(self, caller: int) -> bool:
        return self.owner is not None and self.claims.get(caller) == self.owner

    def claim(self, caller: int) -> None:
        got = claimed(self.database, self.clock, self.request)
        assert (got is not None) == (self.until <= self.clock())
        if got is not None:
            self.claims[caller] = self.owner = got
            self.stored, self.until = None, self.clock() + LEASE

    def renew(self, caller: int) -> None:
        with self.database.write() as session:
            renew_claim(session, self.claims[caller], self.clock())
        if self.owns(caller):
            self.until = self.clock() + LEASE

    def complete(self, caller: int) -> None:
        made = Answer(202, body={"caller": caller})
        if not self.owns(caller):
            with pytest.raises(IdempotencyInFlight):
                complete(self.database, self.clock, self.claims[caller], made)
            return
        complete(self.database, self.clock, self.claims[caller], made)
        self.stored, self.owner, self.until = made, None, self.clock() + KEPT

    def release(self, caller: int) -> None:
        with self.database.write() as session:
            release_claim(session, self.claims[caller])
        if self.owns(caller):
            self.owner, self.until = None, self.clock()

    def purge(self, caller: int) -> None:
        del caller
        with self.database.write() as session:
            purge_expired(session, self.clock())
        if self.until <= self.clock():
            self.owner = None

    def check(self) -> None:
        if self.until <= self.clock():
            assert answer(self.database, self.clock, self.request) is None
        elif self.stored is not None:
            assert answer(self.database, self.clock, self.request) == self.stored
        else:
            with pytest.raises(IdempotencyInFlight):
                answer(self.database, self.clock, self.request)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "renew", "complete", "release", "purge"]),
        st.integers(0, 2),
        st.sampled_from([0, 1, 7, 15, 20, 3_600, 86_399, 86_400]),
    ),
    max_size=25,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_history_of_callers_is_that_of_one_owner_at_a_time(
    any_database: Database, clock: Clock, steps: list[tuple[str, int, int]]
) -> None:
    request = KeyedRequest("", str(uuid4()), "f" * 64)
    history = History(any_database, clock, request, until=clock())
    for step, caller, seconds in steps:
        clock.advance(seconds=seconds)
        if caller in history.claims or step in {"claim", "purge"}:
            getattr(history, step)(caller)
        history.check()
