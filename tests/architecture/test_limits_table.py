"""`docs/limits.md` has each limit as the settings and the code have it."""

import re
from importlib import import_module
from typing import NamedTuple

import pytest

from models.domain import errors
from settings import PREFIX, RATE, Settings
from tests.support.paths import REPOSITORY

TEXT = (REPOSITORY / "docs" / "limits.md").read_text()

NO_LIMITS = {
    *("threads", "search_batch", "port", "hsts_seconds", "recall_target", "index_memory_bytes"),
    "slow_job_seconds",
}
"""Numbers that are settings and bound nothing that a caller makes more of."""


class Row(NamedTuple):
    """A limit, as it is stated and by what it is set."""

    what: str
    limit: str
    set_by: str
    otherwise: str

    @property
    def number(self) -> float:
        return float(self.limit.split()[0].replace(",", ""))


def rows() -> list[Row]:
    lines = [line for line in TEXT.splitlines() if line.startswith("| ")]
    cells = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]
    return [row for row in cells if row.what != "what"]


SET = [row for row in rows() if row.set_by]
OF_SETTINGS = {
    row.set_by.strip("`").removeprefix(PREFIX).lower(): row
    for row in SET
    if row.set_by.startswith(f"`{PREFIX}")
}
OF_CONSTANTS = [row for row in SET if not row.set_by.startswith(f"`{PREFIX}")]


def is_limit(name: str) -> bool:
    """Whether a setting is a number, or a rate."""
    field = Settings.model_fields[name]
    is_rate = any(getattr(rule, "pattern", None) == RATE for rule in field.metadata)
    return is_rate or field.annotation in {int, float, int | None, float | None}


def test_every_setting_that_is_a_limit_is_in_the_table() -> None:
    limits = {name for name in Settings.model_fields if is_limit(name)}
    assert limits - NO_LIMITS == set(OF_SETTINGS)
    assert limits >= NO_LIMITS


@pytest.mark.parametrize("name", OF_SETTINGS)
def test_defaults_are_as_stated(name: str) -> None:
    default, row = Settings.model_fields[name].default, OF_SETTINGS[name]
    if isinstance(default, str):
        assert row.limit == f"`{default}`"
    else:
        assert row.number == default


@pytest.mark.parametrize("row", OF_CONSTANTS, ids=lambda row: row.set_by)
def test_constants_are_as_stated(row: Row) -> None:
    module, _, name = row.set_by.strip("`").rpartition(".")
    assert row.number == getattr(import_module(module), name)


def test_every_limit_says_what_happens_when_it_is_exceeded() -> None:
    assert all(row.what and row.otherwise for row in rows())
    codes = {match for row in rows() for match in re.findall(r"\d{3} `(\w+)`", row.otherwise)}
    known = {
        error.code
        for error in vars(errors).values()
        if isinstance(error, type) and hasattr(error, "code")
    }
    assert codes <= known
