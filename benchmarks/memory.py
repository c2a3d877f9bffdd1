"""What the kernel says of this process' memory. Linux."""

import re
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

_KIB: Final = 1024
SAMPLE_EVERY_S: Final = 0.05


def anonymous_bytes() -> int:
    """Resident memory of this process that no file backs: it can't be shared."""
    return _status("RssAnon")


def mapped_bytes(folder: Path) -> float:
    """This process' share of the resident pages of the files in `folder` (PSS)."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        key, *rest = line.split()
        if "-" in key:
            inside = str(folder) in line
        elif inside and key == "Pss:":
            total += int(rest[0]) * _KIB
    return total


class Peak:
    """The most memory that was resident, and that was this process' own, while this was entered."""

    def __init__(self) -> None:
        self.resident = 0
        self.anonymous = 0
        self._done = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_EVERY_S):
            self.resident = max(self.resident, _status("VmRSS"))
            self.anonymous = max(self.anonymous, _status("RssAnon"))


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * _KIB if found else 0
