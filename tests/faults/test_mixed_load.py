"""Half an hour of mixed load, with a process killed every 20 seconds; `make soak`."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest

from settings import Settings
from tests.support.faults import on_both_databases
from tests.support.ledger import Kind
from tests.support.loaded_machine import LoadedMachine, LoadRate, Trial, loaded_machine
from tests.support.paths import REPOSITORY
from tests.support.resource_use import UseOverTime, peaks

pytestmark = pytest.mark.e2e

MINUTES: Final = float(os.environ.get("MARKETLENS_TEST_SOAK_MINUTES", "0"))
KILL_EVERY_S: Final = 20.0
SAMPLE_EVERY_S: Final = 5.0
FLAT_FROM_MINUTES: Final = 15.0
"""Over shorter times memory is still growing into what it needs."""
FLAT: Final = 1.05
PLOTS: Final = REPOSITORY / "build" / "soak"

WORKERS: Final = ("search", "embed", "index")
VICTIMS: Final = ("api", "relay", "redis", *WORKERS, *(f"{name}'s child" for name in WORKERS))


def kill(loaded: LoadedMachine, victim: str) -> None:
    name, is_child, _ = victim.partition("'")
    if is_child:
        loaded.child(name).kill()
    else:
        loaded.kill(name)


@pytest.mark.skipif(not MINUTES, reason="takes half an hour: `make soak`")
@on_both_databases
def test_nothing_is_lost_and_nothing_grows(kind: str, settings_on: Callable[..., Settings]) -> None:
    random = Random(7)
    rate = LoadRate(most_listings=150)
    with loaded_machine(settings_on(kind), rate) as loaded:
        use, trial = UseOverTime(loaded), Trial(loaded)
        end = time.monotonic() + 60 * MINUTES
        next_kill = time.monotonic() + KILL_EVERY_S
        while time.monotonic() < end and not loaded.failures:
            time.sleep(SAMPLE_EVERY_S)
            use.sample()
            if time.monotonic() >= next_kill:
                next_kill = time.monotonic() + KILL_EVERY_S
                victim = random.choice(VICTIMS)
                use.killed(victim)
                kill(loaded, victim)
        trial.recovers(time.monotonic())
        note = f"{len(use.kills)} kills; MB at most: {peaks(use.samples)}"
        trial.judge(f"{MINUTES:g} minutes of mixed load, a kill every {KILL_EVERY_S:g} s", note)
    use.draw(_plot(kind), f"{len(use.kills)} kills in {MINUTES:g} minutes, {kind}")
    assert loaded.ledger.of(Kind.LISTING)
    if MINUTES >= FLAT_FROM_MINUTES:
        growing = {name: use.growth(name) for name in peaks(use.samples)}
        assert not {name: by for name, by in growing.items() if by > FLAT}


def _plot(kind: str) -> Path:
    return PLOTS / f"mixed-load-{kind}.svg"
