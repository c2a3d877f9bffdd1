"""Processes and threads of the operating system: a program of ours in a process, a low priority."""

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Final

NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
"""The variable that names where a process tells how far it is."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_HEAPS = 4
_LARGE_BLOCK = 4 << 20
_KEPT = 16 << 20


class ProgramFailed(Exception):
    """The process ended without an answer; the text is the last line that it wrote about it."""


def run_program(module: str, *arguments: str, given: str = "") -> dict[str, object]:
    """Run a module of ours as a process of its own, which prints one JSON object: that object.

    What it imports or reads stays out of the process that starts it. `given` is its standard input.
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


def tell_supervisor(state: str, pid: int | None = None) -> None:
    """Send a state of this process, such as `READY=1`, or of another one, to who has started it.

    By systemd's protocol (sd_notify), which `marketlens up` speaks as well: a datagram to the
    socket that `NOTIFY_SOCKET` names. Without one, or where nobody listens, nothing happens.
    """
    path = os.environ.get(NOTIFY_SOCKET)
    if not path:
        return
    # A name that begins with @ is no file.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"{state}\nMAINPID={pid or os.getpid()}".encode(), address)


def be_nice(niceness: int) -> None:
    """Lower the calling thread's priority by so much, and that of threads that it starts.

    For work that nobody waits for. Of a thread and not of its process, so that no transaction is
    slowed down: who holds a lock of the database keeps everybody waiting. Only on Linux, whose
    threads have a niceness each.
    """
    if sys.platform == "linux":
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + niceness)


def give_memory_back() -> None:
    """Have this process give freed memory back to the system, where the C library is glibc.

    By itself it keeps a heap for each thread, and blocks of up to 32 MB in them, which are not
    given back as long as anything above them is used. Small blocks are kept: they are quicker.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        # By default 128 kB are kept: each photo would be given back, and asked for again.
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


def trim_heaps() -> None:
    """Give back what is free in the heaps of this process now; takes milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
