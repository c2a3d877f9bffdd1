"""What dies is started again; what refuses to start is not."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.domain.errors import ExitCode, SetupError
from ops.processes import Supervisor

TIMEOUT_S = 20


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "log", os.environ) as made:
        yield made


def start(supervisor: Supervisor, code: str) -> None:
    supervisor.start("thing", [sys.executable, "-c", code])


def test_killed_is_started_again_at_once(supervisor: Supervisor) -> None:
    start(supervisor, "import time; time.sleep(60)")
    first = supervisor.process_of("thing")
    assert supervisor.restart_dead() == []
    first.kill()
    first.wait()
    assert supervisor.restart_dead() == ["thing"]
    second = supervisor.process_of("thing")
    assert second.pid != first.pid
    assert second.poll() is None


def test_a_refusal_ends_it_with_the_last_words(supervisor: Supervisor) -> None:
    start(supervisor, f"print('No weights.'); raise SystemExit({ExitCode.NOT_DONE})")
    supervisor.process_of("thing").wait()
    with pytest.raises(SetupError, match="thing does not start: No weights"):
        supervisor.restart_dead()


def test_a_traceback_is_no_refusal(supervisor: Supervisor) -> None:
    start(supervisor, "raise RuntimeError")
    assert supervisor.process_of("thing").wait() == 1
    assert supervisor.restart_dead() == ["thing"]


def test_bad_luck_is_tried_again_with_growing_pauses(supervisor: Supervisor) -> None:
    start(supervisor, f"raise SystemExit({ExitCode.TRY_AGAIN})")
    pauses = []
    for _ in range(3):
        supervisor.process_of("thing").wait()
        died = time.monotonic()
        while not supervisor.restart_dead():
            assert time.monotonic() < died + TIMEOUT_S
            time.sleep(0.01)
        pauses.append(time.monotonic() - died)
    # Lower limits only: a busy machine may add to them, never take away.
    assert pauses[1] >= 1
    assert pauses[2] >= 3


def test_leaving_stops_everything(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "log", os.environ) as supervisor:
        start(supervisor, "import time; time.sleep(60)")
        process = supervisor.process_of("thing")
    assert process.poll() is not None
