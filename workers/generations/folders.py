"""The folders of generations on this machine: whose they are, and which are in use. Light."""

import fcntl
import re
from collections.abc import Mapping
from pathlib import Path

from db.vectors.generations import KEPT
from models.domain.types import GenerationStatus
from models.index.manifest import MANIFEST_FILE

# A generation's folder is named by its id. Beside it is what its build or its removal works on.
_FOLDER = re.compile(r"([0-9]+)")
_ASIDE = re.compile(r"\.([0-9]+)\.[0-9]+-[0-9a-f]{8}")


def generation_in(folder: Path) -> int | None:
    """The id of the generation whose folder this is; None for any other thing."""
    found = _FOLDER.fullmatch(folder.name)
    return int(found[1]) if found else None


def is_unused(folder: Path, statuses: Mapping[int, GenerationStatus]) -> bool:
    """Whether a folder is a generation's that no row has use for; others are somebody else's.

    `statuses` are the generations', read after the folder was seen: its row comes before it.
    """
    if (generation_id := generation_in(folder)) is not None:
        return statuses.get(generation_id) not in KEPT
    if found := _ASIDE.fullmatch(folder.name):
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
