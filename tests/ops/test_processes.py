"""What dies is started again; what refuses to start is not."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.domain.errors import ExitCode, SetupError
from ops.processes import Supervisor
from ops.rolling import readiness
from ops.run_status import ask_for_restart

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


READY = (
    "import sys, time; sys.path[:0] = [{root!r}];"
    "from models.domain.processes import tell_supervisor;"
    "tell_supervisor('READY=1'); time.sleep(60)"
)


def started_and_replaced(tmp_path: Path, then: str) -> tuple[list[int], str]:
    """Start what sleeps, and replace it by what is written here; the pids, and what was said."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import os, time\nif 'NOTIFY_SOCKET' not in os.environ:\n    time.sleep(60)\n{then}"
    )
    with Supervisor(tmp_path / "log", dict(os.environ)) as supervisor:
        first = supervisor.start("one", [sys.executable, str(script)])
        said = ""
        with readiness(tmp_path) as (path, is_ready):
            environment = {**os.environ, "NOTIFY_SOCKET": str(path)}
            try:
                supervisor.replace("one", is_ready, environment, within_s=20)
            except SetupError as error:
                said = str(error)
        second = supervisor.process_of("one")
        if second is not first:
            first.wait(20)
            assert supervisor.reap() == 0
        assert second.poll() is None
        return [first.pid, second.pid], said


def test_a_process_is_replaced_once_the_new_one_is_ready(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    pids, said = started_and_replaced(tmp_path, READY.format(root=root))
    assert said == ""
    assert pids[0] != pids[1]


def test_the_old_one_goes_on_where_the_new_one_does_not_start(tmp_path: Path) -> None:
    pids, said = started_and_replaced(tmp_path, "raise SystemExit('marketlens: It can not.')")
    assert said == "one does not start: It can not."
    assert pids[0] == pids[1]


def test_restarting_what_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not running"):
        ask_for_restart(tmp_path, 1)
    (tmp_path / "up.lock").write_text("")
    with pytest.raises(SetupError, match="not running"):
        ask_for_restart(tmp_path, 1)
