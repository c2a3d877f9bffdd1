"""The metrics of a machine as Prometheus reads them."""

import platform
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Final

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from observability import instruments, metrics, slots
from observability.instruments import Values

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

Families = Iterable[Metric]


class _Collected(Collector):
    """What a function gives, as a collector."""

    def __init__(self, collect: Callable[[], Families]) -> None:
        self._collect = collect

    def collect(self) -> Families:
        return self._collect()

    def describe(self) -> Families:
        """Nothing: a registry would otherwise collect once to learn the names."""
        return ()


def registry_of(folder: Path | None, *others: Callable[[], Families]) -> CollectorRegistry:
    """What the processes have counted in `folder`, and what `others` look up, whenever it is read.

    Without a folder, it is what this process alone has counted.
    """

    def counted() -> Families:
        if folder is None:
            return instruments.registry().collect()
        slots.forget_ended(folder)
        merged: Families = MultiProcessCollector.merge(slots.readable(folder))
        return merged

    registry = CollectorRegistry()
    for collect in (counted, *others):
        registry.register(_Collected(collect))
    return registry


def exposition(folder: Path | None, *others: Callable[[], Families]) -> bytes:
    """The same, now, as text."""
    return generate_latest(registry_of(folder, *others))


def about_machine(folder: Path | None, data_dir: Path) -> Iterator[Metric]:
    """Release, disk, and the processes of this machine that can be seen from here."""
    yield metrics.BUILD.family({(release(), platform.python_version()): 1})
    with suppress(OSError):
        yield metrics.DISK_FREE.family({(): shutil.disk_usage(data_dir).free})
    if folder is not None:
        yield from _processes(folder)


def release() -> str:
    """The release that runs."""
    try:
        return version("marketlens-search")
    except PackageNotFoundError:
        return "unknown"


def _processes(folder: Path) -> Iterator[Metric]:
    memory: Values = {}
    cpu: Values = {}
    files: Values = {}
    started: Values = {}
    here = slots.namespace()
    for holder in slots.holders(folder):
        if holder.namespace != here:
            continue
        label = (holder.slot,)
        try:
            process = psutil.Process(holder.pid)
            with process.oneshot():
                memory[label] = float(process.memory_info().rss)
                times = process.cpu_times()
                cpu[label] = times.user + times.system
                started[label] = process.create_time()
                files[label] = float(process.num_fds())
        except psutil.Error:
            continue
    yield metrics.PROCESS_MEMORY.family(memory)
    yield metrics.PROCESS_CPU.family(cpu)
    yield metrics.PROCESS_FILES.family(files)
    yield metrics.PROCESS_STARTED.family(started)


class Remembered:
    """What a function gives, for a moment also to others: it may cost queries."""

    def __init__(self, look: Callable[[], list[Metric]], for_s: float) -> None:
        self._look = look
        self._for_s = for_s
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._last: list[Metric] = []

    def __call__(self) -> list[Metric]:
        """What it gives, or has given so shortly before."""
        with self._lock:
            if monotonic() >= self._until:
                self._last = self._look()
                self._until = monotonic() + self._for_s
            return self._last
