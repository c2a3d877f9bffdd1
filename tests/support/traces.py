"""Looks for traces of what was erased: in all files of a folder, and in all rows of a database."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from sqlalchemy import MetaData, select

from db.session import Database


def spellings(trace: str | UUID | bytes) -> list[bytes]:
    """A trace as bytes, in lower case, in each way in which it may be stored."""
    if isinstance(trace, UUID):
        return [str(trace).encode(), trace.hex.encode(), trace.bytes.lower()]
    if isinstance(trace, bytes):
        return [trace.lower(), trace.hex().encode()]
    return [trace.lower().encode()]


def in_files(folder: Path, traces: list[str | UUID | bytes]) -> Iterator[str]:
    """The files that have a trace, in their bytes or their path."""
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes().lower() if path.is_file() else b""
        name = str(path.relative_to(folder)).lower().encode()
        for trace in traces:
            if any(one in data or one in name for one in spellings(trace)):
                yield f"{path.name}: {trace!r}"


def in_rows(database: Database, traces: list[str | UUID | bytes]) -> Iterator[str]:
    """The columns that have a trace."""
    tables = MetaData()
    tables.reflect(database.engine)
    with database.read() as session:
        for table in tables.tables.values():
            if table.name == "listing_words":  # SQLite's index of words has no rows to read
                continue
            for row in session.execute(select(table)).mappings():
                for column, value in row.items():
                    stored = bytes(value) if isinstance(value, bytes | memoryview) else value
                    text = stored.lower() if isinstance(stored, bytes) else str(stored).lower()
                    for trace in traces:
                        if _has(text, trace):
                            yield f"{table.name}.{column}: {trace!r}"


def _has(text: str | bytes, trace: str | UUID | bytes) -> bool:
    if isinstance(text, bytes):
        return any(one in text for one in spellings(trace))
    return any(one in text.encode("utf-8", "surrogatepass") for one in spellings(trace))
