"""Environments of tools that the project's own environment should not have. Standard library only.

A tool that looks for faults in what is installed must not be part of it, nor change its versions.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "build" / "tools"


def tool(requirement: str) -> Path:
    """The program of a requirement such as `uv==0.13.9`, installed in an environment of its own.

    Ends with a sentence where it can't be installed.
    """
    name, _, version = requirement.partition("==")
    folder = TOOLS / f"{name}-{version}"
    program = folder / "bin" / name
    if program.exists():
        return program
    venv.create(folder, with_pip=True, clear=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--retries", "1"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        sys.exit(f"{requirement} can't be installed: {reason} The package index must be reachable.")
    return program
