"""Processes of one machine share one copy of a generation."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from models.domain.types import EncoderSpec
from models.index.build import BuildOptions, build_generation
from tests.support.generations import BUILT_AT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")

DIMENSION = 256
ROWS = 80_000
PROCESSES = 4

# Says once it has searched, and once it is asked to, what it takes: its share of the pages of the
# generation's files, and memory of its own that opening and searching has cost.
SERVER = """
import sys
from pathlib import Path
import numpy as np
from benchmarks.memory import anonymous_bytes, mapped_bytes
from models.index.faiss_index import set_threads
from models.index.generation import open_generation
from models.index.vector_index import VectorIndex

folder, dimension = Path(sys.argv[1]), int(sys.argv[2])
set_threads(1)
before = anonymous_bytes()
index = VectorIndex(dimension)
index.swap(open_generation(folder, None, fingerprint="f" * 64))
for query in np.random.default_rng(1).normal(size=(200, dimension)).astype(np.float32):
    next(index.matches(query / np.linalg.norm(query), expect=10))
print("ready", flush=True)
sys.stdin.readline()
print(mapped_bytes(folder), anonymous_bytes() - before, flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough rows that what FAISS itself needs to search does not count."""
    rows = np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    folder = tmp_path_factory.mktemp("index") / "generation"
    build_generation(
        folder,
        [(np.arange(ROWS, dtype=np.int64), rows)],
        encoder=EncoderSpec("test", DIMENSION, "f" * 64),
        last_change=0,
        created_at=BUILT_AT,
        recall_target=0.0,
        options=BuildOptions("PCA128,IVF64,SQ8"),
    )
    return folder


def taken_by(processes: int, folder: Path) -> tuple[float, float]:
    """Bytes of the index in all processes together: shared ones by share, and their own."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SERVER, str(folder), str(DIMENSION)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(processes)
        ]
        for server in servers:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
        taken = [tell(server) for server in servers]
        for server in servers:
            server.communicate("\n", timeout=60)
    mapped, own = np.sum(taken, axis=0)
    return float(mapped), float(own)


def tell(server: "subprocess.Popen[str]") -> list[float]:
    assert server.stdin
    assert server.stdout
    server.stdin.write("\n")
    server.stdin.flush()
    return [float(value) for value in server.stdout.readline().split()]


def test_four_processes_take_hardly_more_than_one(generation: Path) -> None:
    one, own_of_one = taken_by(1, generation)
    four, own_of_four = taken_by(PROCESSES, generation)

    assert one > 5 * 2**20  # the codes at least were read
    assert four + own_of_four <= 1.2 * (one + own_of_one)
