"""Every command of the operations' page is run as it is written, but for the missing worker."""

import re

import pytest

from models.domain.types import GenerationStatus
from tests.support.commands import invoke
from tests.support.index_commands import Catalogue, RunIndex
from tests.support.paths import REPOSITORY
from workers.generations.auto_reindex import (
    REINDEX_CHANGED_SHARE,
    REINDEX_MAX_CHANGES,
    REINDEX_MIN_CHANGES,
)

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_works(catalogue: Catalogue, run_index: RunIndex) -> None:
    catalogue.add(60)
    assert len(commands()) > 10
    for command in commands():
        program, group, *arguments = command.split()
        if program == "docker":
            # No engine: `tests.observability.test_monitoring_files` reads what it would start.
            continue
        assert program == "marketlens"
        if group == "rank":
            # Learned weights need events: `tests.workers.commands.test_rank` has some.
            continue
        if group == "metrics" and "--port" in arguments:
            # It serves until it is stopped: `tests.e2e.test_observability` asks it.
            continue
        if group != "index":
            ended = invoke(group, *arguments)
            assert ended.exit_code == 0, (ended.output, ended.exception)
            continue
        if arguments[0] == "build" and "--inline" not in arguments:
            arguments.append("--inline")
        run_index(*arguments)


@pytest.mark.parametrize("status", GenerationStatus)
def test_every_status_is_explained(status: GenerationStatus) -> None:
    assert f"| `{status}` |" in PAGE


def test_the_figures_are_the_code_s() -> None:
    assert (
        f"more than {REINDEX_CHANGED_SHARE:.0%} of the last build's photos have changed since, "
        f"but at least {REINDEX_MIN_CHANGES:,} and never more than {REINDEX_MAX_CHANGES:,}"
    ) in PAGE.replace("\n", " ")
