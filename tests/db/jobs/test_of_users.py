"""Jobs that name a user are gone when the user is forgotten, and others stay."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from db.idempotency import Answer, KeyedRequest, claim_key, complete_claim
from db.jobs import accepting, reading
from db.jobs.attempts import ClaimLost
from db.jobs.of_users import forget_jobs, jobs_of_user
from db.session import Database
from db.tables import IdempotencyKey, Job
from models.domain.errors import NotFound
from models.domain.job_payloads import SearchPayload
from tests.support.clock import Clock
from tests.support.jobs import accept, claim, finish, status

ANN, BOB = bytes(range(16)), bytes(range(16, 32))


class SearchFor(SearchPayload):
    """A search that names a user."""

    user: str


def accept_for(database: Database, clock: Clock, user: bytes) -> UUID:
    payload = SearchFor(text="kettle", limit=1, user=user.hex())
    with database.write() as session:
        return accepting.accept(session, payload, job_id=uuid4(), now=clock()).id


def test_the_jobs_of_a_user_are_forgotten(any_database: Database, clock: Clock) -> None:
    others = [accept_for(any_database, clock, BOB), accept(any_database, clock())]
    mine = []
    for _ in range(3):
        clock.advance(seconds=1)
        mine.append(accept_for(any_database, clock, ANN))
    request = KeyedRequest("", "a key", "f" * 64)
    with any_database.write() as session:
        claimed = claim_key(session, request, uuid4(), clock())
        assert claimed
        complete_claim(session, claimed, Answer(202, job_id=mine[0]), clock())
    with any_database.read() as session:
        assert list(jobs_of_user(session, ANN, 2)) == mine[:0:-1]
    with any_database.write() as session:
        assert forget_jobs(session, ANN) == len(mine)
    with any_database.write() as session:
        assert forget_jobs(session, ANN) == 0
    with any_database.read() as session:
        assert set(session.scalars(select(Job.id))) == set(others)
        assert session.scalars(select(IdempotencyKey)).all() == []
        with pytest.raises(NotFound):
            reading.get(session, mine[0])


def test_who_works_on_a_forgotten_job_has_lost_it(any_database: Database, clock: Clock) -> None:
    owned = claim(any_database, accept_for(any_database, clock, ANN), clock())
    other = accept_for(any_database, clock, BOB)
    with any_database.write() as session:
        forget_jobs(session, ANN)
    with pytest.raises(ClaimLost), any_database.write() as session:
        finish(session, owned, clock)
    assert status(any_database, other).value == "queued"
