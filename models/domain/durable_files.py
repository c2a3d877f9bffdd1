"""Writing files so that a crash leaves a whole file or none. Standard library only.

Which function to use:

- `atomic_file` for a file that others may read at any time: it is written beside and renamed.
- `new_file` for a file in a folder that is renamed as a whole once it is complete.
- `part_path` for large scratch output whose writer renames it itself, without a durability promise.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO, Final

PART_SUFFIX: Final = ".part"
"""Ends the name of every unfinished file."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; the file is streamed. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part_path(path: Path) -> Path:
    """The hidden name beside `path` under which it is written until it is complete."""
    return path.with_name(f".{path.name}{PART_SUFFIX}")


@contextmanager
def atomic_file(
    path: Path, *, concurrent: bool = False, durable: bool = True
) -> Iterator[BinaryIO]:
    """Write a file beside `path`, which takes its name when the block ends without an exception.

    The folder must exist. After an exception `path` is unchanged, and the unfinished file removed.
    A killed process' leftover at `part_path(path)` is overwritten by the next writer; there may be
    only one writer at a time. With `concurrent`, each writer has a unique temporary name,
    `.*.part`, and the file is readable by its owner only; leftovers of killed processes have to be
    swept. Unless `durable` is false, the file and its name are on the disk when the block ends.
    Raises OSError.
    """
    if concurrent:
        descriptor, name = mkstemp(PART_SUFFIX, f".{path.name}.", path.parent)
        part, file = Path(name), os.fdopen(descriptor, "wb")
    else:
        part = part_path(path)
        file = part.open("wb")
    try:
        with file:
            yield file
            if durable:
                _sync(file)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Create `path` for writing; its bytes are on the disk when the block ends.

    Raises FileExistsError if it exists, and OSError.
    """
    with path.open("xb") as file:
        yield file
        _sync(file)


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write values as an `atomic_file`, indented, in UTF-8. Raises OSError."""
    with atomic_file(path) as file:
        file.write((json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def write_if_changed(path: Path, text: str) -> None:
    """Write a small file in UTF-8, atomically but not durably, unless it has that content already.

    Raises OSError.
    """
    content = text.encode()
    if path.is_file() and path.read_bytes() == content:
        return
    with atomic_file(path, durable=False) as file:
        file.write(content)


def make_folder(folder: Path) -> None:
    """Make `folder` and its missing parents, on the disk, unless it exists: for its owner only.

    Raises OSError.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put on the disk which names `folder` holds: a file's own fsync does not. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
