"""Requests that are made to stall, to swell or to crash the API: each is answered, and no more.

What they are answered with, and what that takes, is measured by `python -m benchmarks.attacks`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from settings import Settings
from tests.support.attack_watch import LONGEST_S
from tests.support.attacked_machine import AttackedMachine, attacked_machine
from tests.support.attacks import ATTACKS
from tests.support.faults import in_rounds
from tests.support.ports import free_port

pytestmark = pytest.mark.e2e

MOST_MB: Final = 300
TOO_LARGE, TOO_MANY, BAD = "413 too_large", "429 overloaded", "422 invalid_input"
DONE, ACCEPTED, NO_PHOTO, CLOSED = "200", "202", "422 invalid_photo", "0"

ANSWERS: Final = {
    "million_names": {TOO_LARGE},
    "many_bad_fields": {BAD},
    "nested": {"400 malformed_body"},
    "half_heads": {ACCEPTED},
    "half_bodies": {DONE, "408 request_timeout", TOO_MANY, CLOSED},
    "endless_head": {"431 head_too_large"},
    "many_parts": {"400 malformed_body"},
    "full_uploads": {NO_PHOTO, TOO_MANY},
    "big_bulks": {ACCEPTED, "429 rate_limited"},
    "tiny_bombs": {ACCEPTED, TOO_MANY},
    "bombs_in_one": {NO_PHOTO},
    "jpegs_of_scans": {NO_PHOTO},
    "bulks_of_webp": {DONE, ACCEPTED},
    "long_name": {DONE, BAD},
    "line_feeds": {DONE, ACCEPTED},
    "hang_ups": {DONE},
    "overload": {DONE, TOO_MANY},
    "queue": {ACCEPTED, TOO_MANY},
}
"""What each attack may be answered with: status, and code of the problem."""

SMALLER: Final = {
    "million_names": 1,
    "many_bad_fields": 1,
    "nested": 1,
    "half_heads": 1,
    "many_parts": 1,
    "full_uploads": 10,
    "big_bulks": 20,
    "tiny_bombs": 8,
    "jpegs_of_scans": 4,
    "long_name": 6,
    "endless_head": 1,
    "line_feeds": 1,
    "hang_ups": 6,
}
"""Those that always run, and by how much smaller."""


@pytest.fixture(scope="module")
def attacked() -> Iterator[AttackedMachine]:
    with tempfile.TemporaryDirectory(prefix="ml-") as folder:
        settings = Settings(data_dir=Path(folder), encoder="hog", port=free_port())
        with attacked_machine(settings) as machine:
            yield machine


def check(attacked: AttackedMachine, name: str, smaller: int) -> None:
    answers, seen = attacked.attack(ATTACKS[name], smaller, after_s=0.0)
    assert {f"{answer.status} {answer.code}".strip() for answer in answers} <= ANSWERS[name]
    assert all("retry-after" in answer.headers for answer in answers if answer.status == 429)
    assert seen.peak_mb < MOST_MB
    assert seen.health
    assert seen.health_max_s < LONGEST_S, "health was not answered"


@pytest.mark.parametrize("name", SMALLER)
def test_a_hostile_request(attacked: AttackedMachine, name: str) -> None:
    check(attacked, name, SMALLER[name])


@in_rounds
@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_request_at_its_worst(attacked: AttackedMachine, name: str) -> None:
    check(attacked, name, 1)


def test_every_attack_has_its_answers() -> None:
    assert set(ANSWERS) == set(ATTACKS)
