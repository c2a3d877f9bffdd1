"""An API whose clock is off: times that several processes compare are the database's."""

import time
from typing import Final

import httpx2
import pytest
from redis import Redis

from tests.support.api_process import ApiProcess, api_processes
from tests.support.faults import in_rounds
from tests.support.loaded_machine import LoadedMachine, Trial
from tests.support.machine import TIMEOUT_S
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

HOUR_S: Final = 3_600.0


def readiness(api: ApiProcess) -> dict[str, object]:
    answer: dict[str, object] = httpx2.get(f"{api.url}/readyz", timeout=TIMEOUT_S).json()
    return answer


def search(api: ApiProcess, loaded: LoadedMachine, wait_s: int) -> dict[str, object]:
    (_, photo), *_ = loaded.ledger.photos()
    answer: dict[str, object] = httpx2.post(
        f"{api.url}/v1/searches",
        files=[("photo", ("photo.jpg", photo))],
        headers={"Prefer": f"wait={wait_s}"},
        timeout=TIMEOUT_S,
    ).json()
    return answer


@in_rounds
@pytest.mark.parametrize("shift_s", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
def test_an_api_whose_clock_is_an_hour_off(loaded_on: LoadedMachine, shift_s: float) -> None:
    trial = Trial(loaded_on)
    loaded = loaded_on
    settings = loaded.machine.settings
    with api_processes(settings, clock_shift_s=shift_s) as (api,):
        wait_until(lambda: readiness(api)["status"] == "ready", TIMEOUT_S)
        assert search(api, loaded, wait_s=30)["status"] == "succeeded"
        # Its message is lost: the relay must not wait for an hour to come.
        with loaded.frozen("search"), Redis(unix_socket_path=str(settings.redis_socket)) as redis:
            lost = search(api, loaded, wait_s=0)
            wait_until(lambda: redis.keys("*:search"))
            redis.flushall()
        lost_at = time.monotonic()

        def ended() -> bool:
            job = httpx2.get(f"{api.url}/v1/searches/{lost['id']}", timeout=TIMEOUT_S).json()
            return bool(job["status"] == "succeeded")

        wait_until(ended, TIMEOUT_S)
        trial.recovers(lost_at)
    sign = "ahead" if shift_s > 0 else "behind"
    trial.judge(f"an API's clock an hour {sign}")
