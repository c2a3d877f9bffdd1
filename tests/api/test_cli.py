"""The command `marketlens api`."""

import subprocess
from pathlib import Path

from db.keys import create_key
from db.session import Database
from models.domain.errors import ExitCode
from models.domain.types import Scope
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
from tests.support.clock import Clock

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
