"""Writes `constraints.txt` from what is installed in `.venv`: the versions that were tested."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# The versions that were tested together. Written by `make lock`.\n"


def main() -> None:
    """List every package but our own, without local version labels such as torch's `+cpu`."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "pip", "freeze", "--exclude-editable"]
    frozen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.partition("+")[0] for line in frozen.splitlines() if "==" in line]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(sorted(lines, key=str.lower)) + "\n")


if __name__ == "__main__":
    main()
