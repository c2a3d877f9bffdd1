"""What saved searches cost a new listing: the time that its embed job takes longer for them.

python benchmarks/saved_searches.py [--saved 10000] [--database postgresql://...]

Vectors are drawn, in clusters as categories make them; a third of the searches have a filter.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from threadpoolctl import threadpool_limits

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.saved_searches.searches import NewSavedSearch, save_search
from db.saved_searches.tables import SavedSearch, SavedSearchMatch
from db.saved_searches.vectors import store_saved_vectors
from db.schema_migration import upgrade
from db.session import Database
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.clock import utc_now
from models.domain.filters import ListingFilter, Near
from models.domain.job_payloads import SearchPayload
from models.domain.types import EncoderSpec
from models.encoders.encoder import unit_rows
from workers.saved_searches.matching import SavedSearchMatcher

DIMENSION: Final = 1280
CLUSTERS: Final = 500
SPREAD: Final = 0.6
"""The length of what is added to a cluster's centre: cosines within one are about 0.74."""
LEAST: Final = 0.74
PHOTOS: Final = 4
LISTINGS: Final = 40
SEED: Final = 3
SAVED_AT_ONCE: Final = 500

Vectors = NDArray[np.float32]


class Drawn:
    """Vectors, in clusters."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(SEED)
        self._centres = self._directions(CLUSTERS)

    def vectors(self, count: int) -> Vectors:
        """So many of them (count, dimension)."""
        centres = self._centres[self._rng.integers(CLUSTERS, size=count)]
        return unit_rows(centres + SPREAD * self._directions(count))

    def _directions(self, count: int) -> Vectors:
        return unit_rows(self._rng.standard_normal((count, DIMENSION), np.float32))


def save(database: Database, encoder_id: int, drawn: Drawn, count: int) -> None:
    """Save so many searches, embedded."""
    for first in range(0, count, SAVED_AT_ONCE):
        vectors = drawn.vectors(min(SAVED_AT_ONCE, count - first))
        with database.write() as session:
            numbers = [_save_one(session, first + nth) for nth in range(len(vectors))]
            embedded = {
                number: vector[np.newaxis] for number, vector in zip(numbers, vectors, strict=True)
            }
            store_saved_vectors(session, encoder_id, embedded)


def _save_one(session: Session, nth: int) -> int:
    filters = (
        ListingFilter(category="Things", price_max=Decimal(50), currency="GBP"),
        ListingFilter(near=Near(53.8, -1.55, 30 + nth % 100), price_max=Decimal(20 + nth % 97)),
    )
    payload = SearchPayload(
        positive=(f"{nth:064x}",), limit=1, filter=filters[nth % 2] if nth % 3 == 0 else None
    )
    new = NewSavedSearch(uuid4(), "Things", {}, payload, {}, min_similarity=LEAST)
    return save_search(session, new, utc_now()).row.number


def seconds_of_listings(
    database: Database,
    encoder_id: int,
    drawn: Drawn,
    matcher: SavedSearchMatcher | None,
    clock: Callable[[], float],
) -> list[float]:
    """How long the transaction at the end of an embed job takes, for some new listings."""
    seconds = []
    for nth in range(LISTINGS):
        now = utc_now()
        listing = ListingData(
            uuid4(), "Thing", "", "Things", Decimal(10), "GBP", None, 53.8, -1.55, "sam"
        )
        with database.write() as session:
            upsert_listings(session, [listing], now)
            photos = [PhotoData(uuid4().hex * 2, 3, 4) for _ in range(PHOTOS)]
            ids = ensure_photos(session, photos, now)
            set_photos(session, {listing.id: list(ids.values())})
        vectors = dict(zip(ids.values(), drawn.vectors(PHOTOS), strict=True))
        begun = clock()
        with database.write() as session:
            add_embeddings(session, encoder_id, vectors)
            if matcher is not None:
                matcher.match_embedded(session, {encoder_id: vectors})
        if nth:  # the first one reads all saved searches
            seconds.append(clock() - begun)
    return seconds


def shown(seconds: Sequence[float]) -> str:
    """Percentiles of times."""
    low, high = np.percentile(seconds, [50, 95]) * 1e3
    return f"p50 {low:.1f} ms, p95 {high:.1f} ms"


def main() -> None:
    """Print what it costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--saved", type=int, default=10_000)
    parser.add_argument("--cpu", action="store_true", help="processor time, where others compute")
    parser.add_argument("--database", help="an empty one; SQLite in a temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'marketlens.db'}"
        upgrade(url)
        # As in an embed worker.
        with closing(Database(url)) as database, threadpool_limits(1, user_api="blas"):
            drawn, spec = Drawn(), EncoderSpec("drawn", DIMENSION, "d" * 64)
            with database.write() as session:
                encoder_id = activate_initial_encoder(session, spec, utc_now()).id
            clock = thread_time if options.cpu else perf_counter
            times = partial(seconds_of_listings, database, encoder_id, drawn, clock=clock)
            without = times(matcher=None)
            none = times(matcher=SavedSearchMatcher(utc_now, "none"))
            save(database, encoder_id, drawn, options.saved)
            saved = times(matcher=SavedSearchMatcher(utc_now, "none"))
            with database.read() as session:
                matches = session.scalars(select(func.count()).select_from(SavedSearchMatch)).one()
                count = session.scalars(select(func.count()).select_from(SavedSearch)).one()
    print(f"without looking for any: {shown(without)}")
    print(f"with none saved:         {shown(none)}")
    print(f"with {count:,} saved:      {shown(saved)}")
    cost = (np.median(saved) - np.median(without)) * 1e3
    print(f"a listing of {PHOTOS} photos: {cost:.1f} ms more, {matches / LISTINGS:.1f} matches")


if __name__ == "__main__":
    main()
