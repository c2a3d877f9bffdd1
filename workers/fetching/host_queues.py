"""Fetches URLs in threads, a few of one host at a time, so that others need not wait for it."""

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from models.domain.errors import Unavailable

T = TypeVar("T")

THREADS: Final = 16
"""Each may hold the largest photo that is taken in memory."""
THREADS_OF_A_HOST: Final = 4
SLOW_S: Final = 5.0
"""A failure after so long means that the host does not answer."""
SLOW_IN_A_ROW: Final = 4
PAUSE_S: Final = 30.0
"""For so long a host that does not answer is not asked: the rest of its URLs fail at once."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    url: str
    is_wanted: Callable[[], bool]
    done: Callable[[T | Exception | None], None]


class HostQueues(Generic[T]):
    """Calls `fetch` for each URL in a thread of its own, and tells what it gave or raised.

    Of each host at most `of_a_host` at a time, in the order in which they came; hosts take turns.
    Thread-safe. Threads are daemons, so that a process that is stopped does not wait for them.
    """

    def __init__(
        self,
        fetch: Callable[[str], T],
        *,
        threads: int = THREADS,
        of_a_host: int = THREADS_OF_A_HOST,
        slow_s: float = SLOW_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._fetch = fetch
        self._threads = threads
        self._of_a_host = of_a_host
        self._slow_s = slow_s
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[_Waiting[T]]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        self._paused_until: dict[str, float] = {}
        self._stopped = False

    def submit(
        self,
        url: str,
        done: Callable[[T | Exception | None], None],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Fetch the URL when its turn has come, and call `done` in the thread that has fetched it.

        `done` is called with what was fetched, with the error, or with None if it is not wanted any
        more when its turn has come.
        """
        with self._lock:
            host = _host_of(url)
            self._waiting.setdefault(host, deque()).append(_Waiting(url, is_wanted, done))
            self._start()

    def stop(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._stopped = True
            self._waiting.clear()

    def _start(self) -> None:
        """Start what may be; called with the lock held."""
        for host in list(self._waiting):
            while self._running[host] < self._of_a_host and (waiting := self._waiting.get(host)):
                if self._stopped or self._running.total() >= self._threads:
                    return
                item = waiting.popleft()
                self._running[host] += 1
                if waiting:
                    # The other hosts come first next time.
                    self._waiting.move_to_end(host)
                else:
                    del self._waiting[host]
                threading.Thread(
                    target=self._run, args=(host, item), name="fetch", daemon=True
                ).start()

    def _run(self, host: str, item: _Waiting[T]) -> None:
        try:
            item.done(self._result(host, item))
        finally:
            with self._lock:
                self._running[host] -= 1
                if not self._running[host]:
                    del self._running[host]
                self._start()

    def _result(self, host: str, item: _Waiting[T]) -> T | Exception | None:
        if not item.is_wanted():
            return None
        if self._is_paused(host):
            return Unavailable(f"The photo's host {host} has not answered lately.")
        began = monotonic()
        try:
            result = self._fetch(item.url)
        except Exception as error:  # noqa: BLE001 - told to who has submitted it
            took_long = monotonic() - began >= self._slow_s
            self._note(host, slow=took_long and isinstance(error, Unavailable))
            return error
        self._note(host, slow=False)
        return result

    def _is_paused(self, host: str) -> bool:
        with self._lock:
            return monotonic() < self._paused_until.get(host, 0.0)

    def _note(self, host: str, *, slow: bool) -> None:
        """Count failures that took long; what succeeds or fails soon shows that a host answers."""
        with self._lock:
            if not slow:
                self._slow.pop(host, None)
                self._paused_until.pop(host, None)
                return
            self._slow[host] += 1
            if self._slow[host] >= SLOW_IN_A_ROW:
                del self._slow[host]
                now = monotonic()
                # Those whose time is over are forgotten: there may be any number of hosts.
                over = [name for name, until in self._paused_until.items() if until < now]
                for name in over:
                    del self._paused_until[name]
                self._paused_until[host] = now + self._pause_s


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""
