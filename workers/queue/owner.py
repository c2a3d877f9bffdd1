"""Which process has claimed a job, and whether it is known to be dead."""

import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Final

from db.jobs import relaying
from db.session import Database

PROC: Final = Path("/proc")
BOOT_ID: Final = Path("sys/kernel/random/boot_id")
DEAD: Final = frozenset("ZX")
"""States of a process that has ended and whose parent has not noticed yet; see proc(5)."""


def this_process() -> str | None:
    """A name that no other process has, ever; None where the system tells nothing about them.

    It is the machine's name and start, the namespace of process ids, which containers have of
    their own, the process' id, and its start.
    """
    machine, started = _machine(), _started(os.getpid())
    if machine is None or started is None:
        return None
    return f"{machine} {os.getpid()} {started}"


def end_leases_of_dead(database: Database, now: datetime) -> int:
    """End the leases of jobs whose process was on this machine and is dead; how many.

    Of other machines nothing is known: leases of their processes have to run out.
    """
    with database.read() as session:
        dead = [owner for owner in relaying.owners(session) if is_dead(owner)]
    if not dead:
        return 0
    with database.write() as session:
        return relaying.end_leases(session, dead, now)


def is_dead(owner: str) -> bool:
    """Whether what `this_process` has named was on this machine and has ended."""
    machine, _, process = owner.partition(" ")
    pid, _, started = process.partition(" ")
    if machine != _machine() or not pid.isdecimal():
        return False
    return _started(int(pid)) != started


def _machine() -> str | None:
    try:
        boot_id = (PROC / BOOT_ID).read_text().strip()
        namespace = (PROC / "self/ns/pid").readlink()
    except OSError:
        return None
    return f"{socket.gethostname()}/{boot_id}/{namespace}"


def _started(pid: int) -> str | None:
    """The ticks from the machine's start to the process'; None if it is not there or has ended."""
    try:
        # The name in brackets may hold anything.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in DEAD else fields[19]
