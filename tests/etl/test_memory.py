import subprocess
import sys
import time

from etl.memory import PeakMemory

HOLD = "import sys, time; held = bytearray(300_000_000); print(flush=True); sys.stdin.read()"


def test_the_memory_of_children_is_counted_while_they_live() -> None:
    with PeakMemory() as peak:
        before = peak.mb
        with subprocess.Popen(
            [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout
            child.stdout.readline()
            deadline = time.monotonic() + 30
            while peak.mb < before + 250 and time.monotonic() < deadline:
                time.sleep(0.05)
    assert before > 10
    assert before + 250 < peak.mb < before + 600
