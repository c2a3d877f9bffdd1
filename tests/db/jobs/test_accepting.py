"""What is accepted, and what is not while another is open."""

import pytest

from db.session import Database
from models.domain.errors import ReindexRunning
from models.domain.types import JobType
from tests.support.clock import Clock
from tests.support.jobs import accept, claim, finish


def test_one_reindex_at_a_time(any_database: Database, clock: Clock) -> None:
    first = accept(any_database, clock(), JobType.REINDEX)
    with pytest.raises(ReindexRunning):
        accept(any_database, clock(), JobType.REINDEX)
    owned = claim(any_database, first, clock())
    with pytest.raises(ReindexRunning):
        accept(any_database, clock(), JobType.REINDEX)
    with any_database.write() as session:
        finish(session, owned, clock)
    accept(any_database, clock(), JobType.REINDEX)
