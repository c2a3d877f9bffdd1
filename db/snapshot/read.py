"""What a snapshot's file says, read without changing a byte of it."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.domain.job_payloads import PAYLOAD_TYPES
from models.domain.types import EncoderSpec, Precision


@dataclass(frozen=True, slots=True)
class LiveGeneration:
    """A generation that the snapshot's searches are made with, or would be by its encoder."""

    id: int
    manifest_sha256: str


@contextmanager
def opened(snapshot: Path) -> Generator[sqlite3.Connection]:
    """The file, read only. Raises sqlite3.DatabaseError for one that is damaged."""
    uri = f"{snapshot.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        yield connection


def is_sound(snapshot: Path) -> bool:
    """Whether SQLite finds the file to be a whole database."""
    try:
        with opened(snapshot) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return str(found) == "ok"
    except sqlite3.DatabaseError:
        return False


def live_generations(snapshot: sqlite3.Connection) -> list[LiveGeneration]:
    """The live generation of each encoder that has one."""
    rows = snapshot.execute(
        "SELECT id, manifest_sha256 FROM generations"
        " WHERE status = 'live' AND manifest_sha256 IS NOT NULL ORDER BY id"
    )
    return [LiveGeneration(number, digest) for number, digest in rows]


def active_encoder_of(snapshot: sqlite3.Connection) -> str | None:
    """The label of the encoder that searches are made with; None before there was one."""
    row = snapshot.execute(
        "SELECT name, dimension, fingerprint, precision FROM encoders WHERE status = 'active'"
    ).fetchone()
    if row is None:
        return None
    name, dimension, fingerprint, precision = row
    return EncoderSpec(name, dimension, fingerprint, Precision(precision)).label


def deployment_of(snapshot: sqlite3.Connection) -> str:
    """The deployment's id, in hexadecimal; empty before there were any."""
    if "deployment" not in _tables(snapshot):
        return ""
    (found,) = snapshot.execute("SELECT id FROM deployment").fetchone()
    return str(found)


def photos_named(snapshot: sqlite3.Connection) -> Iterator[str]:
    """The SHA-256 of every photo that a row refers to, in ascending order, each once."""
    payloads = PAYLOAD_TYPES.values()
    fields = {name for payload in payloads for name in payload.photo_fields}
    lists = {name for payload in payloads for name in payload.photo_lists}
    selects = ["SELECT sha256 AS photo FROM photos"]
    for table in ("jobs", "saved_searches"):
        if table in _tables(snapshot):
            selects += [
                f"SELECT json_extract(payload, '$.{name}') FROM {table}"  # noqa: S608 - our own names
                for name in sorted(fields)
            ]
            selects += [
                f"SELECT value FROM {table}, json_each({table}.payload, '$.{name}')"  # noqa: S608 - the same
                for name in sorted(lists)
            ]
    # Lists of examples also name listings, by ids of 36 characters.
    statement = f"SELECT photo FROM ({' UNION '.join(selects)}) WHERE length(photo) = 64 ORDER BY 1"  # noqa: S608 - the same
    for (digest,) in snapshot.execute(statement):
        yield digest


def _tables(snapshot: sqlite3.Connection) -> set[str]:
    return {
        name for (name,) in snapshot.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
