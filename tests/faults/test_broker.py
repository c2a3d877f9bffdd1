"""Redis frozen, killed, emptied and full under load: it costs time, never work."""

import time
from collections.abc import Callable

import pytest

from settings import Settings
from tests.support.faults import in_rounds, on_both_databases, rounds
from tests.support.loaded_machine import judged, loaded_machine

pytestmark = pytest.mark.e2e

CONSUMED_AGAIN_S = 60


def test_a_broker_that_stands_still_for_a_moment(settings_on: Callable[..., Settings]) -> None:
    with loaded_machine(settings_on("sqlite")) as loaded:
        with loaded.frozen("redis"):
            time.sleep(3)
        loaded.recovered(time.monotonic())
        verdict = loaded.settled()
    assert verdict.clean, verdict


@in_rounds
@on_both_databases
@pytest.mark.parametrize("frozen_s", [5, 12, 20, 30, 120])
def test_a_broker_that_stands_still(
    kind: str, frozen_s: float, settings_on: Callable[..., Settings]
) -> None:
    recoveries = []
    with loaded_machine(settings_on(kind)) as loaded:
        for _ in rounds():
            with loaded.frozen("redis"):
                time.sleep(frozen_s)
            recoveries.append(loaded.recovered(time.monotonic()))
        verdict = loaded.settled()
    judged(f"Redis frozen {frozen_s} s", kind, len(recoveries), verdict, recoveries)
    assert verdict.clean, verdict
    assert max(max(each.values()) for each in recoveries) <= CONSUMED_AGAIN_S
