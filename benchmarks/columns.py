"""Filters and facets at a million listings, by SQL and by columns in memory.

    python benchmarks/columns.py --database-url URL [--runs N]

The database is one that `benchmarks/catalogue_at_scale.py` has filled. Times are of one thread, in
milliseconds: the median of so many runs and the least, and what of the median was on the processor,
as other processes may keep it from it. What a search takes beside its index is measured with an
index that gives photos in a random order at no cost. Listings are changed, and stay so.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import UUID

import numpy as np
import psutil
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue.categories import category_paths
from db.catalogue.columns import columns_of, with_changes
from db.catalogue.filters import photos_passing
from db.catalogue.listings import ListingData, upsert_listings
from db.session import Database
from db.tables import Listing
from models.columns.columns import Columns
from models.columns.snapshot import Origin, load_columns, save_columns
from models.domain.filters import ListingFilter, Near
from models.domain.searches.attributes import AttributeCondition, AttributeValue
from models.domain.searches.facets import FacetRequest
from models.domain.types import Match
from workers.search.catalogues import count_facets, listings_passing
from workers.search.retrieval import DEFAULT_THRESHOLDS, Page, retrieve

FACETS = [
    FacetRequest(name)
    for name in ("category", "price", "attributes.brand", "attributes.colour", "attributes.weight")
]
CHANGED = 1_000


class RandomIndex:
    """Photos in a random order, found at no cost."""

    exact = False

    def __init__(self, photos: int) -> None:
        self.rows = photos
        self._order = (np.random.default_rng(0).permutation(photos) + 1).tolist()

    def matches(self, query: object, *, expect: int = 0) -> Iterator[Match]:
        """All of them."""
        del query, expect
        for place, photo in enumerate(self._order):
            yield Match(photo, 1 - place / self.rows)

    def among(self, query: object, photo_ids: NDArray[np.int64]) -> list[Match]:
        """These, in order of id."""
        return list(self.only(query, photo_ids))

    def vectors_of(
        self, photo_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """None: they are found without vectors."""
        return photo_ids[:0], np.empty((0, 0), np.float32)

    def only(
        self, query: object, photo_ids: NDArray[np.int64], *, expect: int = 0
    ) -> Iterator[Match]:
        """The same, one by one."""
        del query, expect
        for place, photo in enumerate(photo_ids.tolist()):
            yield Match(photo, 1 - place / self.rows)


def filters(columns: Columns, session: Session) -> dict[str, ListingFilter]:
    """What is filtered by, from few that pass to most."""

    def having(name: str, count: int, start: int = 0) -> ListingFilter:
        texts = columns.dictionaries.texts_of(name)
        values = tuple(texts.text(code) for code in range(start, start + count))
        return ListingFilter(attributes=(AttributeCondition(name, values),))

    category = max(category_paths(session).values())
    return {
        "everything": ListingFilter(),
        "a brand": having("brand", 1, 17),
        "weight within bounds": ListingFilter(
            attributes=(AttributeCondition("weight", at_least=1.0, at_most=1.02),)
        ),
        "half of the colours": having("colour", 10),
        "a category": ListingFilter(category=category),
        "half of the prices": ListingFilter(price_max=Decimal(33)),
        "near": ListingFilter(near=Near(54, -2, 40)),
        "a seller": ListingFilter(seller=columns.dictionaries.sellers.text(5)),
    }


def timed(runs: int, do: Callable[[], object]) -> str:
    """Median, least, and median on the processor."""
    do()
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.thread_time()
        do()
        cpus.append((time.thread_time() - cpu) * 1e3)
        walls.append((time.perf_counter() - wall) * 1e3)
    return f"{median(walls):8.2f} {min(walls):8.2f} {median(cpus):8.2f}"


def private_mb() -> float:
    """What this process has written to in memory: no other has it, and no file."""
    return sum(region.private_dirty for region in psutil.Process().memory_maps()) / 1e6


def measure_reading(database: Database, file: Path) -> Columns:
    """How long it takes to read, write and map columns, and what they take in memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    with database.read() as session:
        columns = columns_of(session)
    print(
        f"read: {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} s processor, "
        f"{columns.listings:,} listings, {private_mb():.0f} MB private"
    )
    wall = time.perf_counter()
    save_columns(file, columns, Origin("", ""))
    print(f"write: {time.perf_counter() - wall:.2f} s, {file.stat().st_size / 1e6:.0f} MB")
    del columns
    before, wall = private_mb(), time.perf_counter()
    mapped, _ = load_columns(file)
    took = (time.perf_counter() - wall) * 1e3
    print(f"map: {took:.0f} ms, {private_mb() - before:+.1f} MB private")
    return mapped


def measure_filters(database: Database, columns: Columns, runs: int) -> None:
    """Filters, facets, and what a search takes beside its index."""
    index = RandomIndex(columns.listings)
    queries = [np.ones(1, np.float32)]
    print(f"{'':24}{'pass':>10} {'way':>28} {'median':>8} {'least':>8} {'cpu':>8}")
    with database.read() as session:
        for name, wanted in filters(columns, session).items():
            found = listings_passing(session, columns, wanted)
            limit = DEFAULT_THRESHOLDS.select_up_to

            def search(by_columns: bool, wanted: ListingFilter = wanted) -> object:
                passing = listings_passing(session, columns, wanted) if by_columns else None
                return retrieve(session, index, queries, Page(10, wanted=wanted), passing=passing)

            ways: dict[str, Callable[[], object]] = {
                "photos by columns": lambda wanted=wanted: listings_passing(  # type: ignore[misc]
                    session, columns, wanted
                ).photos(),
                "search by columns": lambda search=search: search(True),  # type: ignore[misc]
                "five facets by columns": lambda wanted=wanted: count_facets(  # type: ignore[misc]
                    session, listings_passing(session, columns, wanted), FACETS
                ),
            }
            if not wanted.attributes:
                ways |= {
                    "photos by SQL": lambda wanted=wanted, limit=limit: photos_passing(  # type: ignore[misc]
                        session, wanted, limit
                    ),
                    "search by SQL": lambda search=search: search(False),  # type: ignore[misc]
                }
            for way, do in ways.items():
                print(f"{name:24}{found.listings:10,} {way:>28} {timed(runs, do)}", flush=True)


def measure_changes(database: Database, columns: Columns) -> None:
    """What a changed listing costs the next search."""
    with database.read() as session:
        some = session.scalars(select(Listing).limit(CHANGED)).all()
    size: AttributeValue = f"size{datetime.now(UTC).microsecond}"
    with database.write() as session:
        data = [
            ListingData(
                UUID(str(row.id)), row.title, row.description, None, row.price, row.currency,
                attributes={"size": size, "colour": "red"},
            )
            for row in some
        ]  # fmt: skip
        upsert_listings(session, data, datetime.now(UTC))
    wall, cpu = time.perf_counter(), time.thread_time()
    with database.read() as session:
        now = with_changes(session, columns)
    took, busy = time.perf_counter() - wall, time.thread_time() - cpu
    each = 1e6 / (now.last_change - columns.last_change)
    print(f"changed: {took * each:.0f} µs each, {busy * each:.0f} µs processor")
    with database.read() as session:
        nothing = timed(20, lambda: with_changes(session, now))
    print(f"nothing changed: {nothing} ms")


def main() -> None:
    """Measure the database that the options name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    database = Database(options.database_url)
    with TemporaryDirectory() as folder:
        columns = measure_reading(database, Path(folder) / "columns")
        measure_filters(database, columns, options.runs)
        measure_changes(database, columns)
    database.close()


if __name__ == "__main__":
    main()
