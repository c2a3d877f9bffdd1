"""Files and folders that only their owner may open, whatever the umask of the process is.

New ones are made so: `marketlens` sets the umask of all its processes, and `make_folder` states a
mode. Here those are closed that an earlier release, or somebody else, has made.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""The permissions of everybody but the owner."""

SQLITE_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite appends to a database's name for the files beside it."""


def close_to_others(path: Path) -> bool:
    """Take all permissions from everybody but the owner; returns whether only the owner has any.

    A path that is not there, or is a link, stays as it is. So does what belongs to another user,
    and what has the sticky bit: it is meant to be shared.
    """
    try:
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode) or not state.st_mode & OTHERS:
            return True
        if state.st_uid != os.geteuid() or state.st_mode & stat.S_ISVTX:
            return False
        path.chmod(stat.S_IMODE(state.st_mode) & ~OTHERS)
    except FileNotFoundError:
        return True
    except OSError:
        # A file system that has no permissions, or is read-only.
        return False
    return True


def close_database_file(file: Path) -> bool:
    """The same of a SQLite database, and of the files beside it."""
    closed = [close_to_others(file.with_name(file.name + suffix)) for suffix in SQLITE_SUFFIXES]
    return all(closed)


def close_folder(folder: Path, is_ours: Callable[[str], bool]) -> bool:
    """The same of a folder, unless it holds anything whose name is not one that we give.

    A folder that is shared with others, such as `/tmp` or a home folder, is left alone so. What
    is in it can't be reached by others once it is closed.
    """
    with suppress(OSError):
        if not folder.lstat().st_mode & OTHERS:
            return True
        with os.scandir(folder) as entries:
            is_all_ours = all(is_ours(entry.name) for entry in entries)
        if is_all_ours:
            return close_to_others(folder)
    return not folder.exists()
