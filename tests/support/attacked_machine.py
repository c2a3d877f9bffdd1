"""A machine that is attacked, with as few descriptors as most have."""

import asyncio
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ops.machine import Machine, machine_up
from settings import Settings
from tests.support.attack_watch import Seen, watched
from tests.support.attacks import Attack, Target
from tests.support.hostile_client import Answer

DESCRIPTORS: Final = 1_024


@dataclass(frozen=True)
class AttackedMachine:
    """A running machine."""

    machine: Machine

    def attack(
        self, attack: Attack, smaller: int = 1, *, after_s: float = 1.0
    ) -> tuple[Sequence[Answer], Seen]:
        """What an attack is answered with, and what it does to the API."""
        self.machine.watch()
        port = self.machine.settings.port
        api = self.machine.supervisor.process_of("api").pid
        with watched(port, api, after_s=after_s) as watch:
            answers = asyncio.run(attack(Target(port, smaller)))
        assert self.machine.supervisor.process_of("api").poll() is None, "the API has died"
        return answers, watch.result


@contextmanager
def attacked_machine(settings: Settings) -> Iterator[AttackedMachine]:
    """Start a machine that is ready."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    with machine_up(settings, print) as machine:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        machine.wait_until_ready()
        yield AttackedMachine(machine)
