"""Programs in the place of the decoder process: they crash, hang or swell when they get a photo."""

import os
import resource
import sys
import time
from multiprocessing.connection import Connection

from models.decoder_process import limit_process

DEATH, HANG, SLEEP, SWELL, REPLY = b"death", b"hang", b"sleep", b"swell", b"reply"


def main(descriptor: int) -> None:
    """Do what the photo says."""
    limit_process()
    connection = Connection(descriptor)
    photo = connection.recv_bytes()
    if photo == DEATH:
        os.abort()
    if photo == HANG:
        used = resource.getrusage(resource.RUSAGE_SELF)
        soon = int(used.ru_utime + used.ru_stime) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soon, resource.RLIM_INFINITY))
        while True:
            pass
    if photo == SLEEP:
        time.sleep(600)
    if photo == SWELL:
        assert bytearray(3_000_000_000)
    connection.send_bytes(b"no JSON")


if __name__ == "__main__":
    main(int(sys.argv[1]))
