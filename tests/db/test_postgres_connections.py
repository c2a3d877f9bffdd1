"""PostgreSQL that stands still, or waits for somebody who does, ends what waits for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from time import monotonic

import pytest
from sqlalchemy import text

from db import advisory_locks, postgres_connections
from db.advisory_locks import hold_lock
from db.postgres_connections import Patience
from db.session import Database
from db.vectors.changes import NUMBERING_LOCK
from models.domain.errors import Unavailable
from tests.support.postgres import postgres_server
from tests.support.stopped_postgres import frozen_server
from tests.support.waiting import wait_until

ASKED = text("SELECT 1")
QUICK = Patience(statement_s=1, lock_s=0.3)


@contextmanager
def opened(url: str, patience: Patience = QUICK) -> Iterator[Database]:
    database = Database(url, patience)
    try:
        yield database
    finally:
        database.close()


def ask(database: Database, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Ask twice in a transaction."""
    with database.read() as session:
        session.execute(ASKED)
        meanwhile()
        session.execute(ASKED)


def test_a_server_that_stands_still_is_away() -> None:
    with postgres_server() as url, opened(url) as database, opened(url) as other:
        ask(other)
        with ExitStack() as freezing:
            # First a connection that waits for its answer, then one that is idle, then new ones.
            with pytest.raises(Unavailable, match="reached or is busy"):
                ask(database, lambda: freezing.enter_context(frozen_server(database)))
            with pytest.raises(Unavailable):
                ask(other)
            began = monotonic()
            with pytest.raises(Unavailable):
                ask(database)
            first = monotonic() - began
            began = monotonic()
            for _ in range(20):
                with pytest.raises(Unavailable):
                    ask(database)
            assert monotonic() - began < first, "each has waited by itself"
        wait_until(lambda: answers(database) and answers(other))


def backend(database: Database) -> int:
    """Which process of the server answers."""
    with database.read() as session:
        pid: int = session.scalars(text("SELECT pg_backend_pid()")).one()
        return pid


def answers(database: Database) -> bool:
    try:
        ask(database)
    except Unavailable:
        return False
    return True


def test_a_statement_that_takes_too_long_is_ended_and_its_connection_kept(
    new_postgres_url: Callable[[], str],
) -> None:
    with opened(new_postgres_url()) as database:
        before = backend(database)
        with pytest.raises(Unavailable), database.read() as session:
            session.execute(text("SELECT pg_sleep(60)"))
        ask(database)
        assert backend(database) == before


def test_who_works_in_the_background_may_take_long(new_postgres_url: Callable[[], str]) -> None:
    patient = Patience(statement_s=None, lock_s=0.3)
    with opened(new_postgres_url(), patient) as database, database.read() as session:
        session.execute(text("SELECT pg_sleep(1.5)"))


@contextmanager
def held(database: Database) -> Iterator[None]:
    """Somebody else holds the lock that numbers changes, and does nothing more."""
    holding, end = Event(), Event()

    def hold() -> None:
        with database.write() as session:
            hold_lock(session, NUMBERING_LOCK)
            holding.set()
            end.wait()

    def hold_in_vain() -> None:
        with pytest.raises(Unavailable):
            hold()

    thread = Thread(target=hold_in_vain)
    thread.start()
    holding.wait()
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_a_lock_is_waited_for_in_bounds_and_taken_from_who_stands_still(
    new_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        advisory_locks,
        "_LOCK",
        text(advisory_locks._LOCK.text.replace(f"{advisory_locks.HELD_IDLE_FOR_S}s", "1s")),
    )
    url = new_postgres_url()
    patient = Patience(statement_s=None, lock_s=30)
    with opened(url, patient) as holder, opened(url) as database, opened(url, patient) as waiter:
        with held(holder):
            with pytest.raises(Unavailable), database.write() as session:
                hold_lock(session, NUMBERING_LOCK)
            # Others are not concerned.
            ask(database)
            # The holder's transaction is ended by the server, long before it goes on.
            with waiter.write() as session:
                hold_lock(session, NUMBERING_LOCK)
        ask(holder)


def test_limits_of_the_url_come_first(new_postgres_url: Callable[[], str]) -> None:
    url = new_postgres_url()
    url = f"{url}&keepalives_idle=77&application_name=me"
    with opened(url) as database, database.read() as session:
        driver = session.connection().connection.driver_connection
        assert driver is not None
        parameters = driver.info.get_parameters()
    assert parameters["keepalives_idle"] == "77"
    assert parameters["application_name"] == "me"
    assert parameters["tcp_user_timeout"] == str(postgres_connections.OPTIONS["tcp_user_timeout"])


def end_connections(database: Database) -> None:
    """End all connections but this one."""
    with database.read() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        )


def test_connections_that_the_server_ends_are_replaced() -> None:
    """What ends a connection in a transaction is an outage, whatever the driver calls it."""
    with postgres_server() as url, opened(url) as database, opened(url) as other:
        with pytest.raises(Unavailable):
            ask(database, lambda: end_connections(other))
        ask(database)
        ask(other)
