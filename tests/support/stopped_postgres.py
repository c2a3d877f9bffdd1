"""A PostgreSQL that stands still: every process of it, as where its machine swaps or is paused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import text

from db.session import Database


@contextmanager
def frozen_server(database: Database) -> Iterator[None]:
    """SIGSTOP the server and all its processes, for the length of the block."""
    with database.read() as session:
        folder = session.scalars(text("SHOW data_directory")).one()
    pid = Path(folder, "postmaster.pid").read_text(encoding="ascii").splitlines()[0]
    server = psutil.Process(int(pid))
    # First the one that starts others.
    server.suspend()
    processes = [*server.children(recursive=True), server]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()
