"""Learned weights: at most one is in use, and what was in use before comes back."""

import subprocess
import sys
from contextlib import suppress
from threading import Event, Thread
from time import sleep

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, text
from sqlalchemy.exc import IntegrityError

from db.ranking.rankers import (
    activate_ranker,
    activate_tried,
    active_ranker,
    active_weights,
    all_rankers,
    get_ranker,
    register_ranker,
    roll_back,
)
from db.schema_migration import alembic_config, upgrade
from db.session import Database
from db.tables import Ranker
from models.domain.errors import ChangedMeanwhile, Conflict, NotFound
from models.domain.searches.options import RankWeights
from models.domain.types import RankerStatus
from tests.support.clock import Clock

FIRST = RankWeights(similarity=0, text=0, price=1.0, freshness=0.25)
SECOND = RankWeights(similarity=0.5, text=0, popularity=1.0)


def register(database: Database, weights: RankWeights = FIRST) -> int:
    with database.write() as session:
        return register_ranker(session, weights, {"gain": 0.1}, Clock()()).id


def activate(database: Database, ranker_id: int | None, clock: Clock) -> None:
    clock.advance(seconds=1)
    with database.write() as session:
        activate_ranker(session, ranker_id, clock())


def back(database: Database, clock: Clock) -> int | None:
    clock.advance(seconds=1)
    with database.write() as session:
        ranker = roll_back(session, clock())
        return None if ranker is None else ranker.id


def in_use(database: Database) -> int | None:
    with database.read() as session:
        ranker = active_ranker(session)
        return None if ranker is None else ranker.id


def test_what_is_registered_is_not_in_use_before_it_is_activated(
    any_database: Database, clock: Clock
) -> None:
    ranker_id = register(any_database)
    with any_database.read() as session:
        assert active_weights(session) is None
        assert get_ranker(session, ranker_id).status is RankerStatus.REGISTERED
    activate(any_database, ranker_id, clock)
    with any_database.read() as session:
        assert active_weights(session) == FIRST
        ranker = get_ranker(session, ranker_id)
        assert (ranker.activated_at, ranker.replaced_id) == (clock(), None)
        assert ranker.measured == {"gain": 0.1}


def test_the_one_before_is_retired_and_comes_back(any_database: Database, clock: Clock) -> None:
    first, second = register(any_database), register(any_database, SECOND)
    activate(any_database, first, clock)
    activate(any_database, second, clock)
    with any_database.read() as session:
        assert active_weights(session) == SECOND
        assert [row.status for row in all_rankers(session)] == ["retired", "active"]
    assert [back(any_database, clock) for _ in range(3)] == [first, second, first]
    with any_database.read() as session:
        assert active_weights(session) == FIRST


def test_the_defaults_come_back_where_nothing_was_in_use_before(
    any_database: Database, clock: Clock
) -> None:
    first, second = register(any_database), register(any_database)
    activate(any_database, first, clock)
    assert back(any_database, clock) is None
    assert in_use(any_database) is None
    # From the defaults, what was in use before them.
    assert back(any_database, clock) == first
    activate(any_database, None, clock)
    activate(any_database, second, clock)
    assert back(any_database, clock) is None
    assert back(any_database, clock) == second


def test_nothing_is_rolled_back_where_nothing_was_activated(
    any_database: Database, clock: Clock
) -> None:
    register(any_database)
    with pytest.raises(Conflict, match="default"):
        back(any_database, clock)


def test_what_is_in_use_may_be_activated_again(any_database: Database, clock: Clock) -> None:
    first, second = register(any_database), register(any_database)
    activate(any_database, first, clock)
    activate(any_database, second, clock)
    activate(any_database, second, clock)
    assert back(any_database, clock) == first


def test_unknown_weights_are_not_found(any_database: Database, clock: Clock) -> None:
    with pytest.raises(NotFound, match="no weights 7"):
        activate(any_database, 7, clock)


def test_weights_compared_with_others_than_those_in_use_are_not_activated(
    any_database: Database, clock: Clock
) -> None:
    first, second, third = (register(any_database) for _ in range(3))
    with any_database.write() as session:
        activate_tried(session, first, None, clock())
    with pytest.raises(ChangedMeanwhile, match="meanwhile"), any_database.write() as session:
        activate_tried(session, second, None, clock())
    assert in_use(any_database) == first
    with any_database.write() as session:
        activate_tried(session, third, first, clock())
    assert in_use(any_database) == third


def test_of_two_activations_at_once_one_is_refused(any_database: Database, clock: Clock) -> None:
    first, second = register(any_database), register(any_database)
    begun, refused = Event(), []

    def later() -> None:
        with suppress(ChangedMeanwhile), any_database.write() as session:
            # What was read before the first one's end counts no more.
            assert len(all_rankers(session)) == 2
            refused.append(second)
            begun.set()
            activate_tried(session, second, None, clock())
            refused.clear()

    thread = Thread(target=later)
    with any_database.write() as session:
        activate_tried(session, first, None, clock())
        thread.start()
        # SQLite has one writer: the other does not begin. On PostgreSQL it reads what is in use.
        begun.wait(0.3)
        sleep(0.2)
    thread.join()
    assert refused == [second]
    assert in_use(any_database) == first


def test_the_database_allows_one_active_ranker(any_database: Database, clock: Clock) -> None:
    first, second = register(any_database), register(any_database)
    activate(any_database, first, clock)
    with pytest.raises(IntegrityError), any_database.write() as session:
        get_ranker(session, second).status = RankerStatus.ACTIVE


def test_a_part_of_another_release_is_left_out(any_database: Database, clock: Clock) -> None:
    ranker_id = register(any_database)
    with any_database.write() as session:
        get_ranker(session, ranker_id).weights = {"price": 0.5, "smell": 1.0}
    activate(any_database, ranker_id, clock)
    with any_database.read() as session:
        assert active_weights(session) == RankWeights(similarity=0, text=0, price=0.5)


def test_the_weights_in_use_are_read_by_one_statement(any_database: Database, clock: Clock) -> None:
    activate(any_database, register(any_database), clock)
    statements: list[str] = []

    def counted(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    with any_database.read() as session:
        event.listen(any_database.engine, "before_cursor_execute", counted)
        try:
            active_weights(session)
        finally:
            event.remove(any_database.engine, "before_cursor_execute", counted)
    assert len([one for one in statements if "SELECT" in one]) == 1


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.one_of(st.integers(0, 3), st.just("back")), max_size=12))
def test_a_rollback_returns_to_what_was_in_use_before(
    database: Database, clock: Clock, steps: list[int | str]
) -> None:
    with database.write() as session:
        session.execute(text("UPDATE rankers SET replaced_id = NULL"))
        session.execute(delete(Ranker))
    ids: list[int | None] = [None, *(register(database) for _ in range(3))]
    current, before, ever = None, None, False
    for step in steps:
        if step == "back":
            if not ever:
                with pytest.raises(Conflict):
                    back(database, clock)
                continue
            assert back(database, clock) == before
            current, before = before, current
        else:
            wanted = ids[int(step)]
            activate(database, wanted, clock)
            if wanted != current:
                current, before, ever = wanted, current, True
        assert in_use(database) == current


STORING = """
import sys, time
from datetime import UTC, datetime
from db.ranking.rankers import activate_tried, register_ranker
from db.session import Database
from models.domain.searches.options import RankWeights
with Database(sys.argv[1]).write() as session:
    ranker = register_ranker(session, RankWeights(), {}, datetime.now(UTC))
    activate_tried(session, ranker.id, 1, datetime.now(UTC))
    print("stored", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_while_it_stores_weights_leaves_nothing(
    any_database: Database, clock: Clock
) -> None:
    first = register(any_database)
    activate(any_database, first, clock)
    url = any_database.engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", STORING, url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stored\n"
        process.kill()
    second = register(any_database, SECOND)
    with any_database.write() as session:
        activate_tried(session, second, first, clock())
    with any_database.read() as session:
        assert [row.status for row in all_rankers(session)] == ["retired", "active"]


def test_an_earlier_release_knows_no_learned_weights(any_database: Database, clock: Clock) -> None:
    activate(any_database, register(any_database), clock)
    url = any_database.engine.url.render_as_string(hide_password=False)
    command.downgrade(alembic_config(url), "0017")
    upgrade(url)
    with any_database.read() as session:
        assert all_rankers(session) == []
        assert active_weights(session) is None
