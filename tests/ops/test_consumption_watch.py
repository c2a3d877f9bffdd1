"""Processes that run and do nothing are found, and no others, by what the database knows."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from db.consumption import RELAY, record_consumption
from db.session import Database
from models.domain.errors import Unavailable
from ops.consumption_watch import LOADING_S, SILENT_FOR_S, ConsumptionWatch
from ops.processes import Supervisor
from tests.support.clock import Clock
from tests.support.waiting import wait_until
from workers.queue.messages import Queue

ALL = (*(queue.value for queue in Queue), RELAY)


class Watched:
    """Processes, and who watches them, every three seconds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.alive = set(ALL)
        self.young: set[str] = set()
        self.broker_answers = True
        self._database = database
        self._elapsed = 0.0
        self._watch = ConsumptionWatch(
            database, self._ask, self._age_of, clock, lambda: self._elapsed
        )

    def _ask(self) -> None:
        if not self.broker_answers:
            raise Unavailable("The broker can't be reached.")

    def _age_of(self, name: str) -> float:
        return 5.0 if name in self.young else LOADING_S

    def after(self, seconds: float) -> list[str]:
        """All names that were said meanwhile."""
        said: list[str] = []
        for _ in range(int(seconds // 3)):
            self.clock.advance(seconds=3)
            self._elapsed += 3
            with self._database.write() as session:
                for name in self.alive:
                    record_consumption(session, name, self.clock(), None)
            said += self._watch.look()
        return said


@pytest.fixture
def watched(any_database: Database, clock: Clock) -> Watched:
    made = Watched(any_database, clock)
    assert made.after(60) == []
    return made


def test_a_queue_that_nobody_consumes_is_said_again_and_again(watched: Watched) -> None:
    watched.alive.discard(Queue.EMBED)
    assert watched.after(20 + SILENT_FOR_S - 6) == []
    assert watched.after(9) == [Queue.EMBED]
    assert watched.after(SILENT_FOR_S - 6) == []
    assert watched.after(12) == [Queue.EMBED]


def test_only_the_relay_is_said_where_it_is_what_stands(watched: Watched) -> None:
    watched.alive.clear()
    assert watched.after(60) == [RELAY]


def test_one_that_is_being_started_is_left_alone(watched: Watched) -> None:
    watched.alive.discard(Queue.SEARCH)
    watched.young.add(Queue.SEARCH)
    assert watched.after(600) == []
    watched.young.clear()
    assert watched.after(SILENT_FOR_S + 6) == [Queue.SEARCH]


def test_while_the_broker_is_away_nobody_is_said_and_then_they_have_time(watched: Watched) -> None:
    watched.alive.clear()
    watched.broker_answers = False
    assert watched.after(600) == []
    watched.broker_answers = True
    assert watched.after(SILENT_FOR_S - 3) == []
    watched.alive = set(ALL)
    assert watched.after(600) == []


def test_a_machine_that_was_suspended_has_time_to_go_on(watched: Watched) -> None:
    watched.clock.now += timedelta(hours=8)
    watched.alive.clear()
    assert watched.after(SILENT_FOR_S - 6) == []
    watched.alive = set(ALL)
    assert watched.after(600) == []


def test_a_database_that_is_away_says_nothing(clock: Clock) -> None:
    away = Database("postgresql://x@127.0.0.1:9/x")
    watch = ConsumptionWatch(away, lambda: None, lambda _: LOADING_S, clock)
    assert watch.look() == []
    away.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "log", {}) as made:
        yield made


def test_what_is_killed_is_started_again_with_its_children(supervisor: Supervisor) -> None:
    supervisor.start("thing", ["/bin/sh", "-c", "sleep 60 & wait"])
    assert supervisor.age_s("thing") < LOADING_S
    first = supervisor.process_of("thing")
    supervisor.kill("thing")
    wait_until(lambda: first.poll() is not None)
    assert supervisor.age_s("thing") == 0.0
    assert supervisor.restart_dead() == ["thing"]
