"""Group commit: what several threads write at the same moment shares a transaction.

A commit waits for the disk. Those that come while one is under way are committed together by the
next (DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984).
"""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import copy_context
from threading import Lock
from typing import Generic, TypeVar, cast

from sqlalchemy.orm import Session

from db.session import Database
from models.domain.errors import MarketlensError, Unavailable

T = TypeVar("T")

log = logging.getLogger(__name__)


class _Write(Generic[T]):
    """One thread's work, and what came of it."""

    def __init__(self, work: Callable[[Session], T], *, in_one_statement: bool) -> None:
        self._work = work
        # Another thread may do it, and what it stores belongs to this one's request.
        self._context = copy_context()
        self._in_one_statement = in_one_statement
        self._value: T | None = None
        self.error: BaseException | None = None
        self.ended = False

    def run(self, session: Session) -> None:
        """Do the work."""
        self._value = self._context.run(self._work, session)

    def run_apart(self, session: Session) -> None:
        """Do the work so that nothing of it is kept if it is refused."""
        try:
            # A statement that fails has written nothing: then a savepoint is two statements more.
            with nullcontext() if self._in_one_statement else session.begin_nested():
                self.run(session)
        except MarketlensError as error:
            self.error = error

    def result(self) -> T:
        """What the work returned. Raises what it or the commit raised."""
        if self.error is not None:
            raise self.error
        return cast("T", self._value)


class GroupCommit(Generic[T]):
    """Writes of many threads, in transactions that those share which come at the same moment.

    `committed` is called once for each transaction, with what the writes in it have returned; a
    write that another thread commits may return before.
    """

    def __init__(self, database: Database, committed: Callable[[list[T]], object]) -> None:
        self._database = database
        self._committed = committed
        self._waiting: list[_Write[T]] = []
        self._arriving = Lock()
        self._committing = Lock()

    def write(self, work: Callable[[Session], T], *, in_one_statement: bool = False) -> T:
        """Do the work in a transaction; returns what it returned once that is committed.

        If it raises, so does this, and nothing of it is kept; work that writes `in_one_statement`,
        its last, takes less time. It may be run twice: where another's
        work has broken the transaction, each is done again in one of its own. Raises Unavailable.
        """
        own = _Write(work, in_one_statement=in_one_statement)
        together: list[_Write[T]] = []
        with self._arriving:
            self._waiting.append(own)
        with self._committing:
            if not own.ended:
                with self._arriving:
                    together, self._waiting = self._waiting, []
                self._commit(together)
        if written := [one.result() for one in together if one.error is None]:
            self._committed(written)
        return own.result()

    def _commit(self, together: list[_Write[T]]) -> None:
        try:
            if len(together) == 1 or not self._commit_together(together):
                for one in together:
                    self._commit_alone(one)
        except BaseException as error:  # this process is being stopped
            for one in together:
                one.error = error
            raise
        finally:
            for one in together:
                one.ended = True

    def _commit_together(self, together: list[_Write[T]]) -> bool:
        """Whether they have ended; if not, nothing of them is kept."""
        try:
            with self._database.write() as session:
                for one in together:
                    one.run_apart(session)
        except Unavailable as error:
            for one in together:
                one.error = error
        except Exception as error:  # noqa: BLE001 - whose it is, is found by doing each alone
            log.warning("%s writes are done one by one: %r", len(together), error)
            for one in together:
                one.error = None
            return False
        return True

    def _commit_alone(self, one: _Write[T]) -> None:
        try:
            with self._database.write() as session:
                one.run(session)
        except Exception as error:  # noqa: BLE001 - it is raised in the thread whose work it is
            one.error = error
