"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from threading import Event


class OneRound(Event):
    """Stops what runs until it is set, when that first waits."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self.set()
        return True


def wait_until(condition: Callable[[], object], timeout_s: float = 60) -> None:
    """Poll until the condition holds; fails the test after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {timeout_s} s"
        time.sleep(0.01)
