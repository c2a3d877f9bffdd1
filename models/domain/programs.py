"""Programs of this package that run as a process of their own, and print one JSON object.

What they import or read stays out of the process that starts them.
"""

import json
import subprocess
import sys


class ProgramFailed(Exception):
    """The process ended without an answer; the text is the last line that it wrote about it."""


def run_program(module: str, *arguments: str, given: str = "") -> dict[str, object]:
    """Run a module of ours with these arguments and text to read; the object that it prints.

    Raises ProgramFailed.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        lines = done.stderr.strip().splitlines() or ["it was killed."]
        raise ProgramFailed(lines[-1]) from error
    if not isinstance(answer, dict):
        raise ProgramFailed("it has printed no object.")
    return answer
