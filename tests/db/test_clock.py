"""One clock for all processes: the database's, whatever their own ones say."""

from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import text

from db import clock as module
from db.session import Database
from models.domain.errors import Unavailable

NEAR = timedelta(seconds=5)


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the process counts seconds by."""
    seconds = [1000.0]
    monkeypatch.setattr(module, "_elapsed", lambda: seconds[0])
    return seconds


def told(database: Database) -> datetime:
    with database.read() as session:
        if database.engine.dialect.name == "sqlite":
            return datetime.fromisoformat(
                session.scalars(text("SELECT datetime('now')")).one()
            ).replace(tzinfo=UTC)
        now: datetime = session.scalars(text("SELECT clock_timestamp()")).one()
        return now


def test_it_is_the_time_that_the_database_tells(any_database: Database) -> None:
    before, now = told(any_database), any_database.now()
    assert now.tzinfo is UTC
    assert before <= now <= told(any_database) + NEAR


def test_the_time_goes_on_without_a_question(any_database: Database, elapsed: list[float]) -> None:
    first = any_database.now()
    any_database.close()
    elapsed[0] += 3.5
    assert any_database.now() - first == timedelta(seconds=3.5)


def test_it_is_asked_again_now_and_then(any_database: Database, elapsed: list[float]) -> None:
    first = any_database.now()
    elapsed[0] += module.ASK_EVERY_S + 1
    # Nothing has passed for the database.
    assert abs(any_database.now() - first) < NEAR


def test_what_was_told_is_true_while_the_database_is_away(
    any_database: Database, elapsed: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = any_database.now()
    away = Database("postgresql://x@127.0.0.1:9/x")
    monkeypatch.setattr(any_database._clock, "_engine", away.engine)
    elapsed[0] += module.ASK_EVERY_S + 1
    assert any_database.now() - first == timedelta(seconds=module.ASK_EVERY_S + 1)
    with pytest.raises(Unavailable):
        away.now()


def test_threads_are_told_one_time(any_database: Database) -> None:
    times: list[datetime] = []
    threads = [Thread(target=lambda: times.append(any_database.now())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(times) - min(times) < NEAR
