"""All that is looked at, in the order in which it is needed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from models.domain.errors import (
    MarketlensError,
    SetupError,
    sentence_of,
)
from ops.doctor import machine, services
from ops.doctor.findings import Finding, Verdict
from settings import Settings

Check = Callable[[Settings], Iterator[Finding]]

CHECKS: Final[Sequence[tuple[str, Check]]] = (
    ("python", machine.python),
    ("settings", machine.variables),
    ("data", machine.data_folder),
    ("disk", machine.disk),
    ("memory", machine.memory),
    ("photos", services.store),
    ("database", services.database),
    ("clock", services.clock),
    ("redis", machine.redis_server),
    ("redis", services.broker),
    ("encoder", services.encoder),
    ("port", machine.port),
    ("workers", services.workers),
)

OF_THE_MACHINE: Final[Sequence[tuple[str, Check]]] = (
    ("data", machine.data_folder),
    ("disk", machine.disk),
    ("memory", machine.memory),
)
"""What is looked at before anything is started; the rest is refused where it is needed."""


def examine(settings: Settings, checks: Sequence[tuple[str, Check]] = CHECKS) -> Iterator[Finding]:
    """Everything that is found. What can't be looked at is a finding as well."""
    failed: set[str] = set()
    for what, check in checks:
        try:
            yield from check(settings)
        except (MarketlensError, OSError) as error:
            sentence = sentence_of(error)
            # One database that does not answer is one problem, whoever asks it.
            if sentence not in failed:
                failed.add(sentence)
                yield Finding(what=what, verdict=Verdict.PROBLEM, found=sentence)


def require_room(settings: Settings, say: Callable[[str], None]) -> None:
    """Say what this machine is short of; raise SetupError where it is too short of it to start."""
    for finding in examine(settings, OF_THE_MACHINE):
        if finding.verdict is Verdict.PROBLEM:
            raise SetupError(finding.sentence)
        if finding.verdict is Verdict.WARNING:
            say(finding.sentence)
