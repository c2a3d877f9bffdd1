"""Another process that has a generation open, as a search worker has."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLDER = """
import json, sys
from pathlib import Path
from models.index.generation import open_generation
folder = Path(sys.argv[1])
fingerprint = json.loads((folder / "manifest.json").read_text())["fingerprint"]
generation = open_generation(folder, None, fingerprint=fingerprint)
print("open", flush=True)
sys.stdin.read()
print(generation.rows.take(generation.rows.ids[:1] * 0).shape[0], flush=True)
"""


@contextmanager
def holding_open(folder: Path) -> Iterator[None]:
    """Hold the generation in `folder` open for the length of the block, and read it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        assert process.stdout.readline() == "open\n"
        yield
        process.stdin.close()
        assert process.stdout.readline() == "1\n"
        assert process.wait() == 0
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()
