"""The product's own processes, for end-to-end tests."""

import subprocess
from dataclasses import dataclass

import httpx2

from ops.machine import Machine
from ops.processes import marketlens_command

TIMEOUT_S = 60


def marketlens(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands as a user would."""
    return subprocess.run(
        marketlens_command(*arguments), env=environment, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True)
class SeededMachine:
    """A running machine with the sample in it, and a client of its API."""

    machine: Machine
    http: httpx2.Client
