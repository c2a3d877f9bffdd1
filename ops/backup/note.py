"""A note in the data folder that a restore has begun: it can be run again, and nothing starts."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from models.domain.durable_files import sync_folder, write_json
from models.domain.errors import SetupError

FILE: Final = "restoring.json"


@dataclass(frozen=True, slots=True)
class Note:
    """Which snapshot is being restored, and whether that replaces what was there."""

    snapshot: str
    replaces: bool


def write_note(data_dir: Path, note: Note) -> None:
    """Say that a restore has begun. Raises OSError."""
    write_json(data_dir / FILE, asdict(note))


def read_note(data_dir: Path) -> Note | None:
    """What has begun and not ended; None if nothing has."""
    try:
        values = json.loads((data_dir / FILE).read_text())
    except FileNotFoundError:
        return None
    return Note(str(values["snapshot"]), bool(values["replaces"]))


def remove_note(data_dir: Path) -> None:
    """Say that the restore has ended. Raises OSError."""
    (data_dir / FILE).unlink(missing_ok=True)
    sync_folder(data_dir)


def require_restored(data_dir: Path) -> None:
    """Raise SetupError if a restore into this folder was begun and has not ended."""
    if (data_dir / FILE).exists():
        raise SetupError(
            f"A restore into {data_dir} has begun and not ended: run the same `marketlens restore` "
            "again."
        )
