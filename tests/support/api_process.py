"""The API as processes of their own, on a given database and without workers."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
from tests.support.paths import REPOSITORY
from tests.support.ports import free_port, wait_until_listening


@dataclass(frozen=True)
class ApiProcess:
    """A running API."""

    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        """End it as a crash does (SIGKILL)."""
        self.process.kill()
        self.process.wait()


SHIFTED_CLOCK: Final = Path(__file__).parent / "shifted_clock"


@contextmanager
def api_processes(*each: Settings, clock_shift_s: float = 0.0) -> Iterator[list[ApiProcess]]:
    """Run an API for each of these settings, on ports that are free, with clocks that are off."""
    with ExitStack() as stack:
        started = [stack.enter_context(_started(settings, clock_shift_s)) for settings in each]
        for running in started:
            wait_until_listening(running.process, int(running.url.rpartition(":")[2]))
        yield started


@contextmanager
def _started(settings: Settings, clock_shift_s: float) -> Iterator[ApiProcess]:
    port = free_port()
    environment = child_environment(settings)
    if clock_shift_s:
        environment["MARKETLENS_TEST_CLOCK_SHIFT_S"] = str(clock_shift_s)
        environment["PYTHONPATH"] = f"{SHIFTED_CLOCK}:{REPOSITORY}"
    command = marketlens_command("api", "--port", str(port))
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield ApiProcess(process, f"http://127.0.0.1:{port}")
        finally:
            process.kill()
