"""The priority of threads: work that nobody waits for leaves the cores to what somebody does."""

import os
import sys
import threading


def be_nice(niceness: int) -> None:
    """Lower the calling thread's priority by so much, and that of threads that it starts.

    Of a thread and not of its process, so that no transaction is slowed down: who holds a lock of
    the database keeps everybody waiting. Only on Linux, whose threads have a niceness each.
    """
    if sys.platform == "linux":
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + niceness)
