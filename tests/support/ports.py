"""Ports on loopback for servers that are processes."""

import subprocess
import time
from contextlib import closing
from socket import create_connection, socket


def free_port() -> int:
    """A port that nobody listens on now."""
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait for a server to take connections; raises RuntimeError when it ends instead."""
    while process.poll() is None:
        try:
            create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("the server ended at once")
