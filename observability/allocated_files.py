"""Files of counts whose blocks are allocated before they are written through memory.

prometheus_client makes its files longer without that. Where the disk is full, writing to such a
page ends the process (SIGBUS): what only counts would end what it counts.
"""

import os
from pathlib import Path
from typing import Final

from prometheus_client.mmap_dict import MmapedDict

FIRST_BYTES: Final = 65_536
"""As long as the library makes a file at first."""
_LONGEST_ENTRY: Final = 32
"""What an entry has beside its key: lengths, padding, value and time, and some more."""


class AllocatedDict(MmapedDict):
    """The library's file of values. Raises OSError where there is no room for it."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            _allocate(Path(filename))
        super().__init__(filename, read_mode)

    def _init_value(self, key: str) -> None:
        most = self._used + len(key.encode()) + _LONGEST_ENTRY
        length = self._capacity
        while length < most:
            length *= 2
        if length > self._capacity:
            _reserve(self._f.fileno(), length)
        super()._init_value(key)


def _allocate(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        length = max(FIRST_BYTES, os.fstat(descriptor).st_size)
        _reserve(descriptor, length)
    finally:
        os.close(descriptor)


def _reserve(descriptor: int, length: int) -> None:
    # macOS has no such call.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, length)
