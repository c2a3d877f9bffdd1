"""A job is owned by one attempt at a time."""

from db.jobs import claiming
from db.session import Database
from tests.support.clock import Clock
from tests.support.jobs import LEASE, accept


def test_one_message_delivered_fifty_times_is_claimed_once(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    with any_database.write() as session:
        claims = [claiming.claim(session, job_id, clock(), LEASE) for _ in range(50)]
    assert [owned is not None for owned in claims] == [True] + [False] * 49
