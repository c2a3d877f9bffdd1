"""The folders of generations on this machine, and which of them are in use. Imports no faiss."""

import fcntl
import re
from collections.abc import Mapping
from pathlib import Path

from db.vectors.generations import KEPT
from models.domain.types import GenerationStatus
from models.index.manifest import MANIFEST_FILE

# A generation's folder is named by its id. Builds and removals use temporary ones beside it.
_FOLDER = re.compile(r"([0-9]+)")
_TEMPORARY_FOLDER = re.compile(r"\.([0-9]+)\.[0-9]+-[0-9a-f]{8}")


def generation_in(folder: Path) -> int | None:
    """The id of the generation whose folder this is; None for any other folder."""
    found = _FOLDER.fullmatch(folder.name)
    return int(found[1]) if found else None


def is_unused(folder: Path, statuses: Mapping[int, GenerationStatus]) -> bool:
    """Whether a folder belongs to a generation that is not kept; False for any other folder.

    A temporary folder is unused unless its generation is being built. `statuses` must be read after
    the folder was listed: a row is committed before its folder.
    """
    if (generation_id := generation_in(folder)) is not None:
        return statuses.get(generation_id) not in KEPT
    if found := _TEMPORARY_FOLDER.fullmatch(folder.name):
        return statuses.get(int(found[1])) is not GenerationStatus.BUILDING
    return False


def is_open(folder: Path) -> bool:
    """Whether a process of this machine has the generation open, so that it can't be removed."""
    try:
        manifest = (folder / MANIFEST_FILE).open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return False
    with manifest:
        try:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
