"""Files of a run: there whole or not at all, whatever is killed."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from models.domain.durable_files import make_folder, sync_folder


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file aside; when the block ends it is on the disk and takes its place. One writer."""
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as a whole file."""
    with whole_file(path) as file:
        file.write((json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
