"""What hangs ends its process, even if it never lets go of the interpreter."""

import subprocess
import sys

import pytest

HANGING = """
import re, sys
from threading import Thread
from time import sleep
from workers.embedding.time_limit import TimeLimit

limit = TimeLimit(float(sys.argv[2]))

def quick():
    for _ in range(20):
        with limit.step():
            sleep(0.05)

def hang():
    with limit.step():
        # One call in C, which holds the interpreter's lock.
        re.match(r"(a+)+$", "a" * 60 + "b")

others = [Thread(target=quick) for _ in range(2)]
for other in others:
    other.start()
if sys.argv[1] == "hang":
    hang()
for other in others:
    other.join()
print("done")
"""


def run(what: str, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HANGING, what, str(seconds)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_step_that_hangs_ends_the_process_and_says_where() -> None:
    done = run("hang", 1)
    assert done.returncode == 1
    assert "in hang" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("seconds", [2, 30])
def test_steps_that_end_in_time_end_nothing(seconds: float) -> None:
    done = run("nothing", seconds)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
