"""Only the thread that asks for it gets the cores after others."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.domain.processes import be_nice


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
def test_it_is_the_thread_s_alone() -> None:
    own = niceness()
    with ThreadPoolExecutor(1, initializer=be_nice, initargs=(5,)) as threads:
        assert threads.submit(niceness).result() == own + 5
    assert niceness() == own
