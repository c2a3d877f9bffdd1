"""How much memory a run has had at most, its processes included."""

import resource
import sys
from contextlib import suppress
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event, Thread
from typing import Self

LOOK_EVERY_S = 0.2
# What getrusage counts in: bytes on macOS, KiB elsewhere.
_OWN_UNIT = 1 if sys.platform == "darwin" else 1024


class PeakMemory:
    """Watches while it is open. `mb` is the most that this process has had, and its children.

    Children are looked at five times a second, where there is a /proc to look at; what the system
    says of children that have ended would count the memory of this process in them, too.
    """

    def __init__(self) -> None:
        self._children_kib = 0
        self._closed = Event()
        self._watcher = Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._watcher.join()

    @property
    def mb(self) -> float:
        """In megabytes."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _OWN_UNIT
        return (own + self._children_kib * 1024) / 1e6

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            # A process may end while it is looked at.
            with suppress(OSError):
                self._children_kib = max(self._children_kib, sum(map(_kib, active_children())))


def _kib(process: BaseProcess) -> int:
    """The memory of a process now; pages that several share count in each."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
