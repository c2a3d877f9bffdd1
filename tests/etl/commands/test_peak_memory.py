import subprocess
import sys

import pytest

# In a process of its own: that of the tests has other children.
WATCHED = """
import subprocess, sys, time
from etl.commands.peak_memory import LOOK_EVERY_S, PeakMemory

HOLD = f"import sys; held = bytearray({megabytes} * 10**6); print(flush=True); sys.stdin.read()"
with PeakMemory() as peak:
    before = peak.mb
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=pipe, stdout=pipe) as child:
        child.stdout.readline()
        time.sleep(4 * LOOK_EVERY_S)
print(peak.mb - before)
"""


@pytest.mark.parametrize("megabytes", [50, 300])
def test_the_memory_of_children_is_counted_while_they_live(megabytes: int) -> None:
    script = f"megabytes = {megabytes}\n{WATCHED}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert megabytes < float(done.stdout) < megabytes + 50
