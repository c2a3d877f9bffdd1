"""Whichever process is killed or stopped under load, the others go on, and it is back soon."""

import os
import signal
import time

import psutil
import pytest

from ops.consumption_watch import LOADING_S
from tests.support.faults import in_rounds, is_quiet, rounds
from tests.support.ledger import Kind
from tests.support.loaded_machine import LoadedMachine, Trial
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

SEARCH_S, EMBED_S = 15, 30
"""After any worker or child was killed."""
KILLED_EVERY_S, KILLS = 8, 10


@in_rounds
@pytest.mark.parametrize("queue", ["search", "embed"])
@pytest.mark.parametrize("is_child", [False, True], ids=["worker", "child"])
def test_a_killed_worker(loaded_on: LoadedMachine, queue: str, is_child: bool) -> None:
    trial = Trial(loaded_on)
    for _ in rounds():
        if is_child:
            loaded_on.child(queue).kill()
            trial.recovers(time.monotonic())
        else:
            trial.recovers(loaded_on.kill(queue))
    trial.judge(f"{queue} worker{chr(39) + 's child' if is_child else ''} killed")
    trial.assert_within(search_s=SEARCH_S, embed_s=EMBED_S)


@in_rounds
@pytest.mark.parametrize("name", ["api", "relay", "index"])
def test_another_killed_process(loaded_on: LoadedMachine, name: str) -> None:
    trial = Trial(loaded_on)
    for _ in rounds():
        trial.recovers(loaded_on.kill(name))
    trial.judge(f"{name} killed")
    trial.assert_within(search_s=SEARCH_S, embed_s=EMBED_S)


@in_rounds
def test_a_child_that_is_killed_every_few_seconds(loaded_on: LoadedMachine) -> None:
    trial = Trial(loaded_on)
    for _ in range(KILLS):
        loaded_on.child("search").kill()
        time.sleep(KILLED_EVERY_S)
    trial.recovers(time.monotonic())
    waited = [
        entry.ended_at - entry.accepted_at
        for entry in loaded_on.ledger.of(Kind.SEARCH)
        if entry.ended_at is not None and entry.accepted_at >= trial.began_at
    ]
    trial.judge(
        f"search child killed every {KILLED_EVERY_S} s, {KILLS} times",
        f"{len(waited)} answers, the slowest after {max(waited):.0f} s",
    )
    trial.assert_within(search_s=SEARCH_S, embed_s=EMBED_S)
    if is_quiet():
        assert max(waited) <= 2 * KILLED_EVERY_S + SEARCH_S


@in_rounds
@pytest.mark.parametrize("queue", ["search", "embed"])
def test_a_worker_that_is_stopped_is_started_again(loaded_on: LoadedMachine, queue: str) -> None:
    """SIGSTOP, for ever: nobody continues it."""
    trial = Trial(loaded_on)
    wait_until(
        lambda: loaded_on.machine.supervisor.age_s(queue) > LOADING_S, timeout_s=2 * LOADING_S
    )
    stopped = loaded_on.worker(queue)
    for process in (stopped, *stopped.children()):
        os.kill(process.pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_until(lambda: not stopped.is_running() or is_zombie(stopped), 120)
    noticed_s = time.monotonic() - began
    trial.recovers(time.monotonic())
    trial.judge(f"{queue} worker stopped for ever", f"noticed after {noticed_s:.0f} s")


def is_zombie(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_ZOMBIE
