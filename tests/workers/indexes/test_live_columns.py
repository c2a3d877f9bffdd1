"""Columns of a worker: as fresh as the database, from a file if listings are many, never wrong."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from functools import partial
from mmap import mmap
from pathlib import Path
from random import Random
from subprocess import Popen
from uuid import UUID

import numpy as np
import pytest

import workers.indexes.live_columns as live
from db.catalogue.categories import category_paths
from db.catalogue.columns import columns_of
from db.catalogue.filters import photos_passing
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.session import Database
from models.columns.columns import Columns
from models.columns.facets import facets_of
from models.columns.passing import passing
from models.columns.snapshot import load_columns
from models.domain.errors import Unavailable
from models.domain.filters import ListingFilter
from models.domain.searches.attributes import AttributeCondition
from models.domain.searches.facets import FacetRequest
from models.domain.types import ListingStatus
from tests.support.clock import Clock
from tests.support.listing_writes import write
from tests.support.waiting import wait_until
from workers.indexes.live_columns import LiveColumns
from workers.search.catalogues import listings_passing

FACETS = [
    FacetRequest("category"),
    FacetRequest("price"),
    FacetRequest("attributes.colour"),
    FacetRequest("attributes.size"),
]
FILTERS = [
    ListingFilter(status=(ListingStatus.ACTIVE, ListingStatus.SOLD)),
    ListingFilter(category="Home", price_max=Decimal(3), exclude_seller="ann"),
    ListingFilter(seller="ann", attributes=(AttributeCondition("colour", ("RED", "blue")),)),
    ListingFilter(attributes=(AttributeCondition("size", at_least=2),)),
]
MANY = 10
"""Listings from which on there is a file."""
RED = ListingFilter(attributes=(AttributeCondition("colour", ("red",)),))


def put(database: Database, clock: Clock, count: int, **stated: object) -> None:
    with database.write() as session:
        listings = [
            ListingData(UUID(int=number), "Thing", **stated)  # type: ignore[arg-type]
            for number in range(1, count + 1)
        ]
        upsert_listings(session, listings, clock())


def check(database: Database, columns: LiveColumns) -> None:
    """What passes is what the database says; facets are those of columns that are read now."""
    with database.read() as session:
        held = columns.sync(session)
        assert held is not None
        read = columns_of(session)
        assert held.last_change == read.last_change
        paths = category_paths(session)
        for wanted in FILTERS:
            found = listings_passing(session, held, wanted)
            assert found.photos().tolist() == photos_passing(session, wanted, 10_000)
            again = listings_passing(session, read, wanted)
            assert found.listings == again.listings
            assert facets_of(found, FACETS, paths) == facets_of(again, FACETS, paths)


def is_mapped(columns: Columns) -> bool:
    """Whether all of them are in a file."""
    return all(isinstance(_owner(segment.numbers), mmap) for segment in columns.segments)


def _owner(array: object) -> object:
    """What an array's memory belongs to."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "columns" / "listings"


@pytest.fixture
def opened(database: Database, file: Path) -> Iterator[LiveColumns]:
    columns = LiveColumns(database, file, MANY)
    yield columns
    columns.close()


def held_by(columns: LiveColumns, database: Database) -> Columns:
    columns.wait()
    with database.read() as session:
        held = columns.sync(session)
    assert held is not None
    return held


def test_any_history_is_seen_by_the_next_search(
    any_database: Database, clock: Clock, file: Path
) -> None:
    rng = Random(3)
    columns, other = LiveColumns(any_database, file, MANY), Database(_url(any_database))
    columns.wait()
    for _ in range(50):
        for _ in range(rng.randint(1, 2)):
            write(other, clock, rng)
        if rng.random() < 0.1:
            columns.close()
            columns = LiveColumns(any_database, file, MANY)
            columns.wait()
        check(any_database, columns)
    assert file.exists()
    columns.close()
    other.close()


def _url(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


WRITER = "import sys; from tests.support.listing_writes import write_for_ever as w; w(sys.argv[1])"


def _is_past(columns: LiveColumns, database: Database, change: int) -> bool:
    return held_by(columns, database).last_change > change


def test_what_a_process_commits_until_it_is_killed_is_seen(
    any_database: Database, file: Path
) -> None:
    columns = LiveColumns(any_database, file, MANY)
    columns.wait()
    for _ in range(2):
        end = held_by(columns, any_database).last_change + 20
        writer = Popen([sys.executable, "-c", WRITER, _url(any_database)])
        wait_until(partial(_is_past, columns, any_database, end))
        writer.kill()
        writer.wait()
        check(any_database, columns)
    columns.close()


def test_before_they_are_read_there_are_none(database: Database, opened: LiveColumns) -> None:
    with database.read() as session:
        assert opened.sync(session) is None
    opened.begin()
    wait_until(lambda: held_by(opened, database).listings == 0)


def test_few_listings_have_no_file(
    database: Database, clock: Clock, opened: LiveColumns, file: Path
) -> None:
    put(database, clock, MANY - 1)
    assert held_by(opened, database).listings == MANY - 1
    assert not file.exists()


def test_many_listings_are_mapped_from_a_file_by_all(
    database: Database, clock: Clock, opened: LiveColumns, file: Path
) -> None:
    put(database, clock, 20, attributes={"colour": "Red"})
    for columns in (opened, LiveColumns(database, file, MANY)):
        held = held_by(columns, database)
        assert is_mapped(held)
        assert passing(held, RED, None).listings == 20
    written = file.stat().st_mtime_ns
    assert held_by(LiveColumns(database, file, MANY), database).listings == 20
    assert file.stat().st_mtime_ns == written


def test_a_file_is_written_again_once_much_has_changed(
    database: Database, clock: Clock, opened: LiveColumns, file: Path
) -> None:
    put(database, clock, 20)
    held_by(opened, database)
    put(database, clock, 40, seller="ann")

    assert held_by(opened, database).listings == 40
    wait_until(lambda: load_columns(file)[0].listings == 40)
    wait_until(lambda: is_mapped(held_by(opened, database)))
    check(database, opened)


def test_where_all_listings_are_deleted_there_are_none(
    database: Database, clock: Clock, opened: LiveColumns, file: Path
) -> None:
    put(database, clock, 20)
    with database.write() as session:
        delete_listings(session, [UUID(int=number) for number in range(1, 21)], clock())
    assert held_by(opened, database).listings == 0
    assert not file.exists()
    put(database, clock, 30)
    wait_until(lambda: held_by(opened, database) and file.exists())
    with database.write() as session:
        delete_listings(session, [UUID(int=number) for number in range(1, 31)], clock())
    other = LiveColumns(database, file, MANY)
    other.wait()
    for columns in (opened, other):
        check(database, columns)
    assert held_by(opened, database).compacted().listings == 0


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_file_that_can_not_be_used_is_written_anew(
    database: Database, clock: Clock, file: Path, content: bytes | None
) -> None:
    put(database, clock, 20)
    held_by(LiveColumns(database, file, MANY), database)
    file.write_bytes(file.read_bytes()[:-1] if content is None else content)
    assert held_by(LiveColumns(database, file, MANY), database).listings == 20
    assert load_columns(file)[0].listings == 20


def test_a_file_of_another_state_of_the_database_is_not_used(
    database: Database, clock: Clock, file: Path, tmp_path: Path
) -> None:
    put(database, clock, 20)
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(str(database.engine.url.database))) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    restored = Database(f"sqlite:///{copy}")
    # The same number of changes, but others.
    with database.write() as session:
        delete_listings(session, [UUID(int=1)], clock())
    with restored.write() as session:
        delete_listings(session, [UUID(int=2)], clock())
    held_by(LiveColumns(database, file, MANY), database)
    check_columns = LiveColumns(restored, file, MANY)
    held_by(check_columns, restored)
    check(restored, check_columns)
    with restored.read() as session:
        held = check_columns.sync(session)
        assert held is not None
        (segment,) = held.segments
    assert UUID(int=1) in segment.listing_ids(np.arange(segment.rows, dtype=np.int32))
    restored.close()


def test_where_no_file_can_be_written_columns_are_in_the_own_memory(
    database: Database, clock: Clock, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(database, clock, 20)
    file.parent.touch()
    columns = LiveColumns(database, file, MANY)
    assert held_by(columns, database).listings == 20
    put(database, clock, 60, seller="ann")
    assert held_by(columns, database).listings == 60
    check(database, columns)
    wait_until(lambda: held_by(columns, database) and "can't be written" in caplog.text)
    assert "can't be kept in a file" in caplog.text


def test_what_keeps_columns_from_being_read_is_raised_and_tried_again(
    database: Database, clock: Clock, opened: LiveColumns, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database, clock, 3)

    def unreachable(session: object) -> Columns:
        del session
        raise Unavailable("It does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(live, "columns_of", unreachable)
        with pytest.raises(Unavailable):
            opened.wait()
        with database.read() as session:
            assert opened.sync(session) is None
    assert held_by(opened, database).listings == 3
