"""Builds and removals that are stopped in the middle, for real."""

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.types import EncoderSpec
from models.index.build import BuiltGeneration, remove_generation
from models.index.generation import open_generation

Build = Callable[..., BuiltGeneration]
Draw = Callable[[int], NDArray[np.float32]]

BUILDER = """
import os, resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from models.domain.types import EncoderSpec
from models.index.build import build_generation, remove_generation

def build(target, heartbeat=lambda rows: None):
    build_generation(
        target,
        [(np.arange(16, dtype=np.int64), np.eye(16, dtype=np.float32))],
        encoder=EncoderSpec("test", 16, "f" * 64),
        last_change=1,
        created_at=datetime(2025, 1, 2, tzinfo=UTC),
        recall_target=1.0,
        heartbeat=heartbeat,
    )
"""

# Every child is killed one step later than the one before, until one gets through. A step is
# whatever Python is about to do to a file under the folder, any deletion (those name no folder),
# and every heartbeat.
KILLED_AT_EVERY_STEP = (
    BUILDER
    + """
def die_at(step, root, work):
    steps = 0
    def count():
        nonlocal steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)
    def audit(event, args):
        if event in {"os.remove", "os.rmdir"} or args and str(args[0]).startswith(str(root)):
            count()
    sys.addaudithook(audit)
    work(count)

root, what = Path(sys.argv[1]), sys.argv[2]
status, step = None, 0
while status != 0:
    step += 1
    target = root / str(step) / "generation"
    if what == "remove":
        # FAISS must not run before the fork, so a child builds what the next one removes.
        child = os.fork()
        if not child:
            build(target)
            os._exit(0)
        os.waitpid(child, 0)
    child = os.fork()
    if not child:
        if what == "build":
            die_at(step, target.parent, lambda count: build(target, lambda rows: count()))
        else:
            die_at(step, target.parent, lambda count: remove_generation(target))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, status
print(step)
"""
)

DISK_FULL = (
    BUILDER
    + """
# The spooled rows fit to the byte. The index has a header more, so its last bytes do not.
resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 16 * 2, resource.RLIM_INFINITY))
try:
    build(Path(sys.argv[1]))
except OSError as error:
    print(error.errno)
"""
)


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def heartbeats(build: Build, target: Path, vectors: NDArray[np.float32]) -> int:
    beats: list[int] = []
    build(target, range(len(vectors)), vectors, heartbeat=beats.append)
    remove_generation(target)
    return len(beats)


def failing_at(beat: int) -> Callable[[int], None]:
    left = iter(range(beat - 1))

    def heartbeat(_rows: int) -> None:
        if next(left, None) is None:
            raise TimeoutError

    return heartbeat


def test_a_failing_heartbeat_stops_the_build_wherever_it_is(
    tmp_path: Path, build: Build, draw: Draw
) -> None:
    target = tmp_path / "generations" / "1"

    for beat in range(1, heartbeats(build, target, draw(20)) + 1):
        with pytest.raises(TimeoutError):
            build(target, range(20), draw(20), heartbeat=failing_at(beat))
        assert not list(target.parent.iterdir())

    assert build(target, range(20), draw(20)).manifest.rows == 20


def test_a_build_killed_at_any_step_leaves_nothing_or_everything(
    tmp_path: Path, build: Build, draw: Draw, encoder: EncoderSpec
) -> None:
    steps = int(run(KILLED_AT_EVERY_STEP, str(tmp_path), "build"))

    assert steps > 30
    leftovers = whole = 0
    for target in targets(tmp_path, steps):
        hidden = list(target.parent.glob(".*"))
        leftovers += len(hidden)
        if target.exists():
            whole += 1
            generation = open_generation(target, None, fingerprint=encoder.fingerprint)
            assert generation.manifest.rows == 16
        else:
            build(target, range(20), draw(20))
        assert [path.name for path in target.parent.iterdir()] == ["generation"]
    assert leftovers > 20
    assert 1 <= whole < steps


def test_a_removal_killed_at_any_step_leaves_nothing_or_everything(
    tmp_path: Path, encoder: EncoderSpec
) -> None:
    steps = int(run(KILLED_AT_EVERY_STEP, str(tmp_path), "remove"))

    assert steps > 5
    leftovers = whole = 0
    for target in targets(tmp_path, steps):
        leftovers += len(list(target.parent.glob(".*")))
        if target.exists():
            whole += 1
            open_generation(target, None, fingerprint=encoder.fingerprint)
        remove_generation(target)
        assert not list(target.parent.iterdir())
    assert leftovers > 2
    assert 1 <= whole < steps


def test_a_disk_that_fills_up_in_the_last_bytes_fails_the_build(tmp_path: Path) -> None:
    assert run(DISK_FULL, str(tmp_path / "generation")).strip() == str(errno.EFBIG)

    assert not list(tmp_path.iterdir())


def targets(root: Path, steps: int) -> Iterator[Path]:
    for step in range(1, steps + 1):
        target = root / str(step) / "generation"
        if target.parent.exists():
            yield target
