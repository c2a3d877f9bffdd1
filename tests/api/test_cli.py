"""The command `marketlens api`."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from psutil import Process

from command_line.addresses import free_port
from db.access.keys import create_key
from db.session import Database
from models.domain.errors import ExitCode
from models.domain.types import Scope
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
from tests.support.clock import Clock
from tests.support.waiting import wait_until

NOT_OURS = "192.0.2.1"  # reserved for documentation: no machine has it, so nothing is served


def api_off_loopback(tmp_path: Path, database: Database) -> subprocess.CompletedProcess[str]:
    url = database.engine.url.render_as_string(hide_password=False)
    settings = Settings(data_dir=tmp_path, database_url=url)
    return subprocess.run(
        marketlens_command("api", "--host", NOT_OURS),
        env=child_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_key_the_api_stays_on_loopback(
    tmp_path: Path, database: Database, clock: Clock
) -> None:
    refused = api_off_loopback(tmp_path, database)
    assert refused.returncode == ExitCode.NOT_DONE
    assert "marketlens keys create" in refused.stderr
    assert refused.stderr.count("\n") == 1
    with database.write() as session:
        create_key(session, "buyer", [Scope.SEARCH], clock())
    opened = api_off_loopback(tmp_path, database)
    assert "marketlens keys create" not in opened.stderr
    assert "address" in opened.stderr
    # uvicorn's own code for an address that it can't have would be 1.
    assert opened.returncode == ExitCode.NOT_DONE


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_several_processes_answer_and_one_that_dies_is_replaced(
    tmp_path: Path, database: Database
) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    port = free_port("127.0.0.1", 8_930)
    settings = Settings(data_dir=tmp_path, database_url=url, port=port)
    command = marketlens_command("api", "--processes", "2")
    with subprocess.Popen(
        command, env=child_environment(settings), stderr=subprocess.DEVNULL
    ) as process:
        try:

            def children() -> set[int]:
                return {child.pid for child in Process(process.pid).children()}

            def answers() -> bool:
                with suppress(URLError), urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                    return bool(answer.status == 200)
                return False

            # Python starts one of its own for them.
            wait_until(lambda: len(children()) == 3 and answers(), 60)
            before = children()
            os.kill(max(before), signal.SIGKILL)
            wait_until(lambda: max(before) not in children() and len(children()) == len(before), 60)
            assert answers()
        finally:
            process.terminate()
    assert process.returncode == ExitCode.DONE
