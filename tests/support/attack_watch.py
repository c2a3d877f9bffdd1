"""What an attack does to the API: its memory and processor time, and how health is answered."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final

import psutil

LOOK_EVERY_S: Final = 0.03
LONGEST_S: Final = 60.0


@dataclass(frozen=True)
class Seen:
    """What was seen during an attack.

    Memory in MB: that of the API's process at most, of the processes that it has started at most,
    and of its process some seconds after. Times in seconds; `busy_s` is processor time.
    """

    peak_mb: float
    children_mb: float
    after_mb: float
    health: int
    health_p99_s: float
    health_max_s: float
    busy_s: float


@dataclass
class Watch:
    """An attack that is watched; `seen` is there when it has ended."""

    seen: Seen | None = None

    @property
    def result(self) -> Seen:
        assert self.seen is not None
        return self.seen


@contextmanager
def watched(port: int, pid: int, *, after_s: float = 1.0) -> Iterator[Watch]:
    """Ask for health and memory meanwhile, in a process of its own: the attack keeps this busy."""
    watch = Watch()
    command = [sys.executable, "-m", "tests.support.attack_watch", str(port), str(pid)]
    with subprocess.Popen(
        [*command, str(after_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdin is not None
        assert watcher.stdout.readline() == "ready\n"
        try:
            yield watch
        finally:
            watcher.stdin.close()
            answer = watcher.stdout.read()
    watch.seen = Seen(**json.loads(answer))


def main(port: int, pid: int, after_s: float) -> None:
    """Look until the standard input is closed; write what was seen to the standard output."""
    process = psutil.Process(pid)
    os.set_blocking(0, False)
    peak, children, waits = 0.0, 0.0, list[float]()
    started = process.cpu_times()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        waits.append(_health_s(port))
        peak = max(peak, _megabytes(process))
        children = max(children, sum(map(_megabytes, process.children(recursive=True))))
        if not _goes_on():
            break
        time.sleep(LOOK_EVERY_S)
    ended = process.cpu_times()
    time.sleep(after_s)
    waits.sort()
    seen = Seen(
        peak_mb=peak,
        children_mb=children,
        after_mb=_megabytes(process),
        health=len(waits),
        health_p99_s=waits[ceil(0.99 * len(waits)) - 1],
        health_max_s=waits[-1],
        busy_s=ended.user + ended.system - started.user - started.system,
    )
    sys.stdout.write(json.dumps(vars(seen)))


def _goes_on() -> bool:
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


def _health_s(port: int) -> float:
    """How long health takes to be answered, on a connection of its own; of no answer the limit."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            return LONGEST_S
    except OSError:
        return LONGEST_S
    finally:
        connection.close()
    return time.monotonic() - started


def _megabytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
