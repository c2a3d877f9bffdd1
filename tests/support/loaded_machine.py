"""A running machine under a load that never stops, whatever is done to its processes."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from random import Random
from threading import Event, Thread
from typing import Final

import httpx2
import psutil

from db.session import Database
from ops.machine import Machine, machine_up
from settings import Settings
from tests.support.faults import FaultRow, is_quiet, record
from tests.support.ledger import Kind, Ledger, Verdict
from tests.support.load_client import CLIENT_TIMEOUT_S, LoadClient
from tests.support.waiting import wait_until

WATCH_EVERY_S: Final = 0.25
SETTLE_TIMEOUT_S: Final = 120.0
WARM_LISTINGS: Final = 3
WARM_SEARCHES: Final = 5


Recovery = dict[Kind, float]
"""Seconds from a fault's end until everything accepted before it has ended, and something later."""


@dataclass(frozen=True, slots=True)
class LoadRate:
    """How much is asked for: threads, each with a pause in seconds between two requests."""

    searchers: int = 2
    search_pause_s: float = 0.2
    held_searchers: int = 1
    """Searchers that wait for the answer within the request (`Prefer: wait`)."""
    sellers: int = 1
    sell_pause_s: float = 0.4
    most_listings: int | None = None
    """Sellers delete listings while there are more."""


@dataclass(frozen=True, slots=True)
class Health:
    """An answer of `/readyz`; status 0 where there was none. `at` is of `time.monotonic`."""

    at: float
    took_s: float
    status: int
    checks: dict[str, bool] = field(default_factory=dict)


@dataclass
class LoadedMachine:
    """A machine under load, and the ledger of those who load it."""

    machine: Machine
    database: Database
    ledger: Ledger
    health: list[Health] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    """The processes that the supervisor has started again."""
    failures: list[str] = field(default_factory=list)
    """What ended a thread of the load: nothing may."""

    def worker(self, queue: str) -> psutil.Process:
        """The parent of a queue's worker processes."""
        return psutil.Process(self.machine.supervisor.process_of(queue).pid)

    def child(self, queue: str) -> psutil.Process:
        """A worker process of a queue; waits until there is one."""
        found: list[psutil.Process] = []

        def has_child() -> bool:
            try:
                found[:] = self.worker(queue).children()
            except psutil.NoSuchProcess:
                found.clear()
            return bool(found)

        wait_until(has_child)
        return found[0]

    def kill(self, name: str) -> float:
        """SIGKILL a process that the supervisor has started; gives the moment."""
        self.machine.supervisor.process_of(name).kill()
        return time.monotonic()

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """SIGSTOP a process, and SIGCONT it at the end of the block."""
        pid = self.machine.supervisor.process_of(name).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def recovered(
        self, fault_ended_at: float, timeout_s: float = SETTLE_TIMEOUT_S
    ) -> dict[Kind, float]:
        """Wait until what was accepted before the fault's end has ended, and something later.

        Gives the seconds by kind, those that it waited for in vain included.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and not self.failures:
            took = {kind: self.ledger.recovery_s(kind, fault_ended_at) for kind in Kind}
            if all(seconds is not None for seconds in took.values()):
                break
            time.sleep(0.05)
        waited = time.monotonic() - fault_ended_at
        return {kind: waited if took[kind] is None else float(took[kind] or 0) for kind in Kind}

    def settled(self, since: float = 0.0, timeout_s: float = SETTLE_TIMEOUT_S) -> Verdict:
        """Wait until everything accepted until now has ended; judge what was accepted since.

        The load goes on.
        """
        until = time.monotonic()
        deadline = until + timeout_s
        while self.ledger.open(until) and time.monotonic() < deadline and not self.failures:
            time.sleep(0.05)
        verdict = self.ledger.verdict(self.database, until, since)
        assert not self.failures, self.failures
        return verdict


@contextmanager
def loaded_machine(settings: Settings, rate: LoadRate | None = None) -> Iterator[LoadedMachine]:
    """Run everything as `marketlens up` does, and load it until the block ends.

    When the block begins, listings have been embedded and found. At the end the load stops, and
    everything that was accepted must end.
    """
    with (
        machine_up(settings, print) as machine,
        closing(Database(settings.sqlalchemy_url)) as database,
        ExitStack() as stack,
    ):
        machine.wait_until_ready()
        loaded = LoadedMachine(machine, database, Ledger())
        _repeat(stack, loaded, lambda: loaded.restarted.extend(machine.watch()), WATCH_EVERY_S)
        stack.enter_context(loaded.ledger.followed(database))
        with _load(loaded, rate or LoadRate()):
            wait_until(lambda: loaded.failures or _is_warm(loaded.ledger))
            assert not loaded.failures, loaded.failures
            yield loaded
        assert not loaded.failures, loaded.failures


def _is_warm(ledger: Ledger) -> bool:
    ended = [entry for entry in ledger.of(Kind.SEARCH) if entry.ended_at is not None]
    return len(ledger.photos()) >= WARM_LISTINGS and len(ended) >= WARM_SEARCHES


@contextmanager
def _load(loaded: LoadedMachine, rate: LoadRate) -> Iterator[None]:
    stop = Event()
    with ExitStack() as stack:

        def client(seed: int) -> LoadClient:
            http = stack.enter_context(
                httpx2.Client(base_url=loaded.machine.url, timeout=CLIENT_TIMEOUT_S)
            )
            return LoadClient(http, loaded.ledger, stop, Random(seed), rate.most_listings)

        for number in range(rate.sellers):
            _repeat(stack, loaded, client(number).sell, rate.sell_pause_s)
        for number in range(rate.searchers):
            _repeat(stack, loaded, client(100 + number).search, rate.search_pause_s)
        for number in range(rate.held_searchers):
            _repeat(stack, loaded, client(200 + number).search_and_wait, rate.search_pause_s)
        _repeat(stack, loaded, lambda: loaded.health.append(_health(loaded.machine.url)), 0.5)
        stack.callback(stop.set)
        yield


def _health(url: str) -> Health:
    began = time.monotonic()
    try:
        answer = httpx2.get(f"{url}/readyz", timeout=CLIENT_TIMEOUT_S)
    except httpx2.TransportError:
        return Health(began, time.monotonic() - began, 0)
    return Health(began, time.monotonic() - began, answer.status_code, answer.json()["checks"])


def _repeat(
    stack: ExitStack, loaded: LoadedMachine, work: Callable[[], object], pause_s: float
) -> None:
    """Do it in a thread until the stack closes; what it raises is kept, and ends it."""
    stop = Event()

    def run() -> None:
        while not stop.wait(pause_s):
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whatever it is fails the test
                loaded.failures.append(f"{work!r}: {error!r}")
                return

    thread = Thread(target=run)
    thread.start()
    stack.callback(thread.join)
    stack.callback(stop.set)


@dataclass
class Trial:
    """The rounds of one fault on a machine."""

    loaded: LoadedMachine
    began_at: float = field(default_factory=time.monotonic)
    recoveries: list[Recovery] = field(default_factory=list)
    resumed_s: float = 0.0
    """The longest time after a fault's end until a job of each kind had ended."""

    def recovers(self, fault_ended_at: float) -> None:
        """Wait until the machine has recovered from a round."""
        self.recoveries.append(self.loaded.recovered(fault_ended_at))
        for kind in Kind:
            resumed = self.loaded.ledger.resumed_s(kind, fault_ended_at)
            self.resumed_s = max(self.resumed_s, SETTLE_TIMEOUT_S if resumed is None else resumed)

    def worst_s(self, kind: Kind) -> float:
        """The longest time that it took in any round."""
        return max((each[kind] for each in self.recoveries), default=0.0)

    def assert_within(self, *, search_s: float, embed_s: float) -> None:
        """Check the longest times, unless other work has the machine's cores."""
        if is_quiet():
            assert self.worst_s(Kind.SEARCH) <= search_s
            assert self.worst_s(Kind.LISTING) <= embed_s

    def judge(self, fault: str, note: str = "") -> FaultRow:
        """Wait until all is settled; gives the row of the fault, which is recorded and clean."""
        verdict = self.loaded.settled(self.began_at)
        kind = self.loaded.database.engine.dialect.name
        rounds = max(1, len(self.recoveries))
        row = judged(fault, kind, rounds, verdict, self.recoveries, note)
        assert verdict.clean, f"{fault}: {verdict}"
        return row


def judged(
    fault: str,
    database: str,
    rounds: int,
    verdict: Verdict,
    recoveries: Sequence[Recovery],
    note: str = "",
) -> FaultRow:
    """The row of a fault, recorded."""
    worst = {
        kind: round(max(each[kind] for each in recoveries), 1) if recoveries else None
        for kind in Kind
    }
    row = FaultRow(
        fault,
        database,
        rounds,
        accepted=verdict.accepted,
        lost=len(verdict.lost),
        doubled=len(verdict.doubled),
        stuck=len(verdict.stuck),
        wrong=len(verdict.wrong),
        search_recovery_s=worst[Kind.SEARCH],
        embed_recovery_s=worst[Kind.LISTING],
        note=note,
    )
    record(row)
    return row
