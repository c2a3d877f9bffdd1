"""The API as processes of their own, on a given database and without workers."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
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


@contextmanager
def api_processes(*each: Settings) -> Iterator[list[ApiProcess]]:
    """Run an API for each of these settings, on ports that are free."""
    with ExitStack() as stack:
        started = [stack.enter_context(_started(settings)) for settings in each]
        for running in started:
            wait_until_listening(running.process, int(running.url.rpartition(":")[2]))
        yield started


@contextmanager
def _started(settings: Settings) -> Iterator[ApiProcess]:
    port = free_port()
    command = marketlens_command("api", "--port", str(port))
    with subprocess.Popen(
        command, env=child_environment(settings), stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield ApiProcess(process, f"http://127.0.0.1:{port}")
        finally:
            process.kill()
