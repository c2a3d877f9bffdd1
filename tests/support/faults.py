"""Rounds of fault tests, and the table of what they have found.

The fast part of a fault test runs always. The long part runs when `MARKETLENS_TEST_FAULTS` says how
often each fault happens; `make faults` sets it. Where `MARKETLENS_TEST_FAULTS_TABLE` names a file,
each test appends its row to that, as a line of JSON, for `scripts/fault_table.py`.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pytest

ROUNDS: Final = int(os.environ.get("MARKETLENS_TEST_FAULTS", "0"))
"""How often the long part of a test lets its fault happen; 0 where only fast parts run."""

TABLE: Final = os.environ.get("MARKETLENS_TEST_FAULTS_TABLE")

DATABASES: Final = ("sqlite", "postgresql")

in_rounds = pytest.mark.skipif(
    not ROUNDS, reason="takes minutes: MARKETLENS_TEST_FAULTS=3 (`make faults`)"
)
"""Marks the long part of a fault test."""

on_both_databases = pytest.mark.parametrize("kind", DATABASES)
"""Parameter `kind` of the fixture `fault_database_url`."""


def rounds(*, at_least: int = 1, at_most: int | None = None) -> Iterator[int]:
    """The rounds of a fault, from 0 on."""
    wanted = max(ROUNDS, at_least)
    yield from range(wanted if at_most is None else min(wanted, at_most))


def is_quiet() -> bool:
    """Whether the tests have the cores to themselves: else times say nothing of the product."""
    return os.getloadavg()[0] <= 2 * len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What the rounds of one fault have done. Times in seconds; None where nothing was measured."""

    fault: str
    database: str
    rounds: int
    accepted: int
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    wrong: int = 0
    search_recovery_s: float | None = None
    embed_recovery_s: float | None = None
    note: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled, stuck or wrong."""
        return not (self.lost or self.doubled or self.stuck or self.wrong)


def record(row: FaultRow) -> None:
    """Append a row to the table, if one is asked for."""
    if TABLE is not None:
        with Path(TABLE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
