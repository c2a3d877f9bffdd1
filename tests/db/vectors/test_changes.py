"""The change feed must never let a reader skip a change."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Thread

from sqlalchemy.orm import Session

from db.catalogue.listing_photos import (
    PhotoData,
    ensure_photos,
)
from db.session import Database
from db.vectors.changes import changes_after, last_change, number_changes, record_changes

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def add_photos(database: Database, count: int) -> list[int]:
    photos = [PhotoData(f"{number:064x}", 10, 10) for number in range(count)]
    with database.write() as session:
        return sorted(ensure_photos(session, photos, NOW).values())


def test_changes_come_in_order_and_once_read_are_not_read_again(any_database: Database) -> None:
    first, second = add_photos(any_database, 2)
    with any_database.write() as session:
        record_changes(session, [first, first])
    with any_database.write() as session:
        record_changes(session, [second])
    with any_database.read() as session:
        seen, photos = changes_after(session, 0, limit=1)
        assert photos == [first]
        seen, photos = changes_after(session, seen, limit=10)
        assert photos == [second]
        assert seen == last_change(session)
        assert changes_after(session, seen, limit=10) == (seen, [])


def test_a_later_number_never_commits_before_an_earlier_one(
    new_postgres_url: Callable[[], str],
) -> None:
    """Two PostgreSQL transactions overlap; the reader between their commits must lose nothing.

    With a bare sequence the second would commit number 2 while number 1 is still open: a reader
    would remember 2 and never see 1.
    """
    database = Database(new_postgres_url())
    slow, fast = add_photos(database, 2)

    def write_fast() -> None:
        with database.write() as session:
            record_changes(session, [fast])

    seen = 0
    found: list[int] = []

    def read(session: Session) -> None:
        nonlocal seen
        seen, photos = changes_after(session, seen, limit=10)
        found.extend(photos)

    with database.write() as first:
        record_changes(first, [slow])
        number_changes(first)
        other = Thread(target=write_fast)
        other.start()
        other.join(timeout=0.5)
        with database.read() as reader:
            read(reader)
    other.join()
    with database.read() as reader:
        read(reader)
    database.close()
    assert found == [slow, fast]
