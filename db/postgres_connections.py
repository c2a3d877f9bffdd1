"""Connections to PostgreSQL that end when it does not answer, instead of waiting for ever.

Limits on the server's side end what waits there. A server that is frozen, or whose machine is gone,
keeps none of them: the client's own do, and the operating system's for the connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ConnectArgsType, Dialect
from sqlalchemy.pool import ConnectionPoolEntry

T = TypeVar("T")

OPTIONS: Final[Mapping[str, int]] = {
    "connect_timeout": 3,
    # A machine that is gone is noticed after about 20 s, also while nothing is sent.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Of libpq: seconds, the last one milliseconds."""

PING_TIMEOUT_S: Final = 2.0
"""Of the pool's question whether a connection is still there."""
RECONNECT_AFTER_S: Final = 1.0
"""For so long after a connection has failed no other is tried: each may wait for `connect_timeout`,
and those who wait for one come one after the other."""
ABANDONED_AFTER_S: Final = 3_600
"""After so long without a statement a transaction is rolled back, whose process must be frozen."""
_FIRST_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a statement may take, and for how many of them it may wait for a lock.

    None is no limit.
    """

    statement_s: float | None
    lock_s: float


ANSWERING: Final = Patience(statement_s=7, lock_s=4)
"""Of who answers callers, within ten seconds."""
WORKING: Final = Patience(statement_s=None, lock_s=30)
"""Of who works in the background: a long statement is none that hangs."""


def limit_waiting(engine: Engine, patience: Patience) -> None:
    """Have the engine's connections opened so that they keep to these limits."""
    connector = _Connector(patience)

    @event.listens_for(engine, "do_connect")
    def _connect(
        dialect: Dialect,
        entry: ConnectionPoolEntry,
        arguments: ConnectArgsType,
        parameters: dict[str, object],
    ) -> psycopg.Connection:
        del dialect, entry, arguments
        return connector.connect(parameters)


class _TimedConnection(psycopg.Connection):
    """A connection that is closed when the server does not answer in time."""

    answers_within_s: float | None = None

    def wait(
        self, gen: PQGen[T], interval: float = _FIRST_LOOK_S, timeout: float | None = None
    ) -> T:
        """Wait for the end of a statement. Raises OperationalError when that takes too long."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        # Outside of transactions there are only the pool's pings.
        limit = PING_TIMEOUT_S if self.autocommit else self.answers_within_s
        begun = monotonic()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError as error:
            if limit is None or error.sqlstate is not None or monotonic() - begun < limit:
                raise
            # What it may still send is an answer to nobody: the pool opens another connection.
            self.close()
            raise psycopg.OperationalError(f"no answer for {limit:g} s") from error


class _Connector:
    """Opens connections; while the server answers nobody, only one is tried at a time."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failed_at = float("-inf")
        self._trying = Lock()

    def connect(self, parameters: Mapping[str, object]) -> psycopg.Connection:
        """A connection with its limits set. Raises what psycopg raises."""
        if self._failed_at == float("-inf"):
            return self._connect(parameters)
        waited = monotonic() - self._failed_at
        if waited < RECONNECT_AFTER_S or not self._trying.acquire(blocking=False):
            raise psycopg.OperationalError("connecting has failed a moment ago")
        try:
            return self._connect(parameters)
        finally:
            self._trying.release()

    def _connect(self, parameters: Mapping[str, object]) -> psycopg.Connection:
        try:
            context = parameters.get("context")
            of_libpq = {
                name: value for name, value in parameters.items() if isinstance(value, str | int)
            }
            connection = _TimedConnection.connect(
                make_conninfo("", **of_libpq),
                context=context if isinstance(context, AdaptersMap) else None,
            )
            try:
                self._limit(connection)
            except BaseException:
                connection.close()
                raise
        except psycopg.OperationalError:
            self._failed_at = monotonic()
            raise
        self._failed_at = float("-inf")
        return connection

    def _limit(self, connection: _TimedConnection) -> None:
        limits = {
            "statement_timeout": self._patience.statement_s or 0,
            "lock_timeout": self._patience.lock_s,
            "idle_in_transaction_session_timeout": ABANDONED_AFTER_S,
        }
        connection.autocommit = True
        connection.execute(
            "; ".join(f"SET {name} = {round(limit * 1000)}" for name, limit in limits.items())
        )
        connection.autocommit = False
        if self._patience.statement_s is not None:
            # The server cancels first where it can, and the connection is kept.
            connection.answers_within_s = self._patience.statement_s + 1
