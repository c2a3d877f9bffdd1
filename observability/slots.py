"""Which files of counts a process writes: those of a slot, which it holds a lock on while it runs.

prometheus_client keeps the counts of each process in files of its own, under its id. Ids are never
used again while counts must not be lost: files would grow in number with each start. Here files are
a slot's. A process that starts takes the first slot that nobody holds, and counts on from what its
last holder left, so that no sum ever falls; there are as many slots as processes ran at once. The
system lets go of a lock when its holder ends, however that is, also where containers share a folder
but see other process ids.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from struct import Struct
from typing import Final

from prometheus_client.mmap_dict import MmapedDict

LOCK: Final = ".lock"
COUNTS: Final = ".db"
_USED: Final = Struct("i")
"""How a file of the library begins: with how many of its bytes are used, these included."""
_HEADER: Final = 8
LIVE: Final = "gauge_live"
"""How the names of files begin whose values only count while their process runs."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a slot: the slot's name, such as `search-0`, its id and its namespace.

    A process id means something only to processes of the same namespace.
    """

    slot: str
    pid: int
    namespace: str


class Slot:
    """The slot of this process in a folder. A fork that counts takes another one."""

    def __init__(self, folder: Path, process: str) -> None:
        self._folder = folder
        self._process = process
        self._name = ""
        self._pid = 0
        self._lock = -1

    def name(self) -> str:
        """The slot of the process that asks. Raises OSError where none can be taken."""
        if self._pid != os.getpid():
            self._take()
        return self._name

    def release(self) -> None:
        """Let others have it."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock, self._pid = -1, 0

    def _take(self) -> None:
        # In a fork, closing it lets go of nothing: the parent has it as well.
        self.release()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in count():
            name = f"{self._process}-{number}"
            lock = os.open(self._folder / f"{name}{LOCK}", os.O_RDWR | os.O_CREAT, 0o600)
            if _try_lock(lock):
                break
            os.close(lock)
        self._lock, self._name, self._pid = lock, name, os.getpid()
        self._describe()
        _clear(self._folder, name)

    def _describe(self) -> None:
        told = json.dumps({"pid": self._pid, "namespace": namespace()}).encode()
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, told, 0)


def namespace() -> str:
    """The namespace of process ids that this process is in; empty where there are none."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def holders(folder: Path) -> Iterator[Holder]:
    """The processes that hold slots now."""
    for path in sorted(folder.glob(f"*{LOCK}")):
        if not _is_held(path):
            continue
        try:
            told = json.loads(path.read_bytes())
            yield Holder(path.name.removesuffix(LOCK), int(told["pid"]), str(told["namespace"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is just being taken


def forget_ended(folder: Path) -> None:
    """Remove the values of ended processes that do not count any more."""
    for path in folder.glob(f"{LIVE}*{COUNTS}"):
        if not _is_held(folder / f"{_slot_of(path)}{LOCK}"):
            path.unlink(missing_ok=True)


def readable(folder: Path) -> list[str]:
    """The files of counts; without those that a machine that lost its power has left damaged."""
    return [str(path) for path in sorted(folder.glob(f"*{COUNTS}")) if _is_readable(path)]


def _clear(folder: Path, slot: str) -> None:
    """Make a slot that was just taken ready to be counted in."""
    for path in folder.glob(f"*_{slot}{COUNTS}"):
        if path.name.startswith(LIVE) or not _is_readable(path):
            path.unlink(missing_ok=True)


def _slot_of(path: Path) -> str:
    return path.name.removesuffix(COUNTS).rpartition("_")[2]


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            (used,) = _USED.unpack(file.read(_USED.size))
        if used and not _HEADER <= used <= path.stat().st_size:
            return False
        for key, _, _, _ in MmapedDict.read_all_values_from_file(str(path)):
            json.loads(key)
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - the library has no error of its own for what is damaged
        return False
    return True
