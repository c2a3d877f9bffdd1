"""Writes what `make setup` and the image install, from what `pyproject.toml` names.

`requirements.lock` (the product, for the image) and `requirements-dev.lock` (with all extras and
what developing needs) have a version of each package and the SHA-256 of all its files: pip installs
no other file. `constraints.txt` has the same versions alone. Versions stay as they are unless the
project wants others, or `--upgrade` is given.

torch is in neither lock: which of its builds is installed depends on the machine (`install.py`).
"""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tool_environment import tool

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = "# The versions that are installed and tested together. Written by `make lock`.\n"
LOCK_HEADER = "# These versions with the SHA-256 of their files. Written by `make lock`.\n"
UV = "uv==0.13.9"
PYTHON = "3.11"
LOCK, DEV_LOCK = "requirements.lock", "requirements-dev.lock"
EVERYTHING = ("--all-extras", "--group", "dev")

TORCH = re.compile(r"(torch|torchvision)==")
OF_TORCH = re.compile(r"(torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
"""How pins begin of torch, and of what only its builds for GPUs need."""


def main() -> None:
    """Write the locks and the constraints."""
    before = CONSTRAINTS.read_text() if "--upgrade" not in sys.argv else ""
    everything = compiled(before, EVERYTHING)
    chosen = [pin for pin in everything if TORCH.match(pin) or not OF_TORCH.match(pin)]
    versions = [without_hashes(pin) for pin in chosen]
    constraints = HEADER + "\n".join(sorted(versions, key=str.lower)) + "\n"
    product = compiled(constraints, ())
    CONSTRAINTS.write_text(constraints)
    for name, pins in ((DEV_LOCK, everything), (LOCK, product)):
        kept = [pin for pin in pins if not OF_TORCH.match(pin)]
        (ROOT / name).write_text(LOCK_HEADER + "".join(kept))


def compiled(versions: str, wanted: tuple[str, ...]) -> list[str]:
    """The pins with hashes of what the project needs, one a text, in these versions where it can.

    `wanted` are uv's options that say what of the project.
    """
    with TemporaryDirectory() as folder:
        # Versions in its output file are what uv prefers.
        output = Path(folder) / "lock.txt"
        output.write_text(versions)
        command = [
            *(str(tool(UV)), "pip", "compile", str(ROOT / "pyproject.toml"), *wanted),
            *("--python-version", PYTHON, "--universal", "--generate-hashes", "--no-annotate"),
            *("--no-header", "--no-emit-index-url", "--quiet", "--output-file", str(output)),
        ]
        done = subprocess.run(command, check=False, cwd=ROOT)
        if done.returncode:
            sys.exit(done.returncode)
        pins = re.split(r"^(?=\S)", output.read_text(), flags=re.MULTILINE)
    return [pin for pin in pins if pin.strip()]


def without_hashes(pin: str) -> str:
    """The name, the version and the marker of a pin: some have one for each of several Pythons."""
    return pin.partition("--hash")[0].strip(" \\\n")


if __name__ == "__main__":
    main()
