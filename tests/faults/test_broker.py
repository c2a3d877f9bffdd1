"""Redis frozen, killed, emptied and full under load: it costs time, never work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from tests.support.faults import in_rounds, is_quiet, rounds
from tests.support.loaded_machine import LoadedMachine, Trial

pytestmark = pytest.mark.e2e

CONSUMED_AGAIN_S = 60
"""After Redis has stood still, however long that was."""
LONGEST = 120
RESTARTS = 20


@contextmanager
def redis_of(loaded: LoadedMachine) -> Iterator[Redis]:
    """A client of a machine's Redis."""
    with Redis(unix_socket_path=str(loaded.machine.settings.redis_socket)) as redis:
        yield redis


def freeze(loaded: LoadedMachine, seconds: float) -> float:
    """Stop Redis for a while; gives the moment at which it goes on."""
    with loaded.frozen("redis"):
        time.sleep(seconds)
    return time.monotonic()


@in_rounds
@pytest.mark.parametrize("seconds", [5, 12, 20, 30, LONGEST])
def test_a_broker_that_stands_still(loaded_on: LoadedMachine, seconds: float) -> None:
    trial = Trial(loaded_on)
    for _ in rounds(at_most=1 if seconds == LONGEST else None):
        trial.recovers(freeze(loaded_on, seconds))
    slowest = loaded_on.ledger.slowest_s(trial.began_at)
    trial.judge(
        f"Redis frozen {seconds} s",
        f"jobs end again after {trial.resumed_s:.1f} s, slowest 202: {slowest:.1f} s",
    )
    if is_quiet():
        assert trial.resumed_s <= CONSUMED_AGAIN_S


@in_rounds
def test_a_broker_that_is_killed_again_and_again(loaded_on: LoadedMachine) -> None:
    trial = Trial(loaded_on)
    for _ in range(RESTARTS):
        trial.recovers(loaded_on.kill("redis"))
    trial.judge("Redis killed")


@in_rounds
def test_a_broker_that_is_emptied(loaded_on: LoadedMachine) -> None:
    trial = Trial(loaded_on)
    with redis_of(loaded_on) as redis:
        for _ in rounds():
            time.sleep(1)
            redis.flushall()
            trial.recovers(time.monotonic())
    trial.judge("Redis emptied (FLUSHALL)")


@in_rounds
def test_a_broker_that_is_full(loaded_on: LoadedMachine) -> None:
    trial = Trial(loaded_on)
    with redis_of(loaded_on) as redis:
        for _ in rounds():
            redis.config_set("maxmemory", 1)
            time.sleep(10)
            redis.config_set("maxmemory", 0)
            trial.recovers(time.monotonic())
    trial.judge("Redis full for 10 s (noeviction)")
