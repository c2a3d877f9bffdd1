"""The peak memory of a run and its child processes."""

import resource
import sys
from contextlib import suppress
from threading import Event, Thread
from typing import Self

import psutil

LOOK_EVERY_S = 0.5
# What getrusage counts in: bytes on macOS, KiB elsewhere.
_UNIT = 1 if sys.platform == "darwin" else 1024


class PeakMemory:
    """A context manager that samples memory. `mb` is the peak of this process and its children.

    Children are sampled twice a second, because the system's maximum for ended children includes
    the memory of this process, too.
    """

    def __init__(self) -> None:
        self._children = 0
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
        """In megabytes; pages that processes share count in each."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
        return (own + self._children) / 1e6

    def _watch(self) -> None:
        # Not by multiprocessing: `active_children` would reap children that others wait for.
        process = psutil.Process()
        while not self._closed.wait(LOOK_EVERY_S):
            # A process may end while it is sampled.
            with suppress(psutil.Error):
                held = sum(child.memory_info().rss for child in process.children())
                self._children = max(self._children, held)
