"""One of each kind of fault of broker and workers; their rounds are in files beside this one."""

import time

import pytest
from redis import Redis

from tests.support.loaded_machine import LoadedMachine, Trial
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def accepted_since(loaded: LoadedMachine, moment: float) -> int:
    """How many were accepted since, of those that ask for nothing but to be accepted."""
    entries = list(loaded.ledger.entries.values())
    return sum(entry.accepted_at > moment and entry.took_s > 0 for entry in entries)


def test_nobody_waits_for_a_broker_that_stands_still(loaded: LoadedMachine) -> None:
    trial = Trial(loaded)
    with loaded.frozen("redis"):
        began = time.monotonic()
        # More than the load has threads: so each of them was answered meanwhile.
        wait_until(lambda: accepted_since(loaded, began) > 6, timeout_s=30)
    trial.recovers(time.monotonic())
    trial.judge("Redis frozen a moment")


def test_an_emptied_broker(loaded: LoadedMachine) -> None:
    trial = Trial(loaded)
    with Redis(unix_socket_path=str(loaded.machine.settings.redis_socket)) as redis:
        redis.flushall()
    trial.recovers(time.monotonic())
    trial.judge("Redis emptied once")


def test_a_killed_child(loaded: LoadedMachine) -> None:
    trial = Trial(loaded)
    loaded.child("search").kill()
    loaded.child("embed").kill()
    trial.recovers(time.monotonic())
    trial.judge("children killed once")
