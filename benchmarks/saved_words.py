"""What saved searches for words cost a new listing: the processor time of matching it with them.

python -m benchmarks.saved_words [--saved 10000] [--database postgresql://...]

Texts are drawn as in `catalogue_at_scale`. Each search has one to four words (`--fewest 2`: two to
four), drawn as those of titles are; a quarter are phrases, an eighth exclude a word, and a third
have a filter.
"""

import argparse
import random
import tempfile
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from time import thread_time
from typing import Final
from uuid import uuid4

import numpy as np
from sqlalchemy import func, select

from benchmarks.catalogue_at_scale import Drawing
from db.catalogue.listings import ListingData, upsert_listings
from db.saved_searches.progress import last_listing_change
from db.saved_searches.searches import NewSavedSearch, save_search
from db.saved_searches.tables import SavedSearchMatch
from db.saved_searches.vectors import store_saved_vectors
from db.schema_migration import upgrade
from db.session import Database
from db.text.search import texts_of
from db.vectors.encoders import activate_initial_encoder
from models.domain.clock import utc_now
from models.domain.filters import ListingFilter
from models.domain.job_payloads import SearchPayload
from models.domain.types import EncoderSpec
from models.saved_words import SavedWords
from workers.saved_searches.matching import SavedSearchMatcher

LANGUAGE: Final = "english"
LISTINGS: Final = 60
SAVED_AT_ONCE: Final = 500
DIMENSION: Final = 8
"""No photo is compared."""


def queries(drawing: Drawing, count: int, fewest: int) -> list[str]:
    """So many texts of saved searches."""
    dice = random.Random(5)
    drawn = []
    for text in drawing.texts(count, fewest, 4):
        wanted = f'"{text}"' if dice.random() < 1 / 4 else text
        excluded = f" -{drawing.texts(1, 1, 1)[0]}" if dice.random() < 1 / 8 else ""
        drawn.append(wanted + excluded)
    return drawn


def save(database: Database, encoder_id: int, texts: list[str]) -> None:
    """Save a search for each of the texts."""
    filtered = ListingFilter(price_max=Decimal(50), currency="GBP")
    for first in range(0, len(texts), SAVED_AT_ONCE):
        with database.write() as session:
            numbers = []
            for nth, text in enumerate(texts[first : first + SAVED_AT_ONCE]):
                payload = SearchPayload(text=text, limit=1, filter=None if nth % 3 else filtered)
                new = NewSavedSearch(uuid4(), "Things", {}, payload, {})
                numbers.append(save_search(session, new, utc_now()).row.number)
            none = np.empty((0, DIMENSION), np.float32)
            store_saved_vectors(session, encoder_id, dict.fromkeys(numbers, none))


def put(database: Database, drawing: Drawing) -> ListingData:
    """Write a new listing."""
    (title,), (description,) = drawing.texts(1, 3, 8), drawing.texts(1, 10, 60)
    listing = ListingData(uuid4(), title, description, "Things", Decimal(10), "GBP")
    with database.write() as session:
        upsert_listings(session, [listing], utc_now())
    return listing


def seconds_of_listings(
    database: Database, drawing: Drawing, matcher: SavedSearchMatcher
) -> list[float]:
    """Processor time of the transaction that matches a new listing, for some."""
    put(database, drawing)
    match_all(database, matcher)  # reads all saved searches
    seconds = []
    for _ in range(LISTINGS):
        put(database, drawing)
        begun = thread_time()
        match_all(database, matcher)
        seconds.append(thread_time() - begun)
    return seconds


def match_all(database: Database, matcher: SavedSearchMatcher) -> None:
    """Match what has changed."""
    with database.write() as session:
        while matcher.match_changed(session, 50):
            pass


def seconds_in_memory(database: Database, drawing: Drawing, texts: list[str]) -> list[float]:
    """Of that, the time that finding the searches takes, once the listing's words are read."""
    saved = SavedWords(LANGUAGE)
    for number, text in enumerate(texts):
        saved.put(number, text, alone=True)
    seconds = []
    for _ in range(LISTINGS):
        listing = put(database, drawing)
        with database.read() as session:
            words = texts_of(session, [listing.id])[listing.id]
        begun = thread_time()
        list(saved.found_alone(saved.read(words)))
        seconds.append(thread_time() - begun)
    return seconds


def shown(seconds: list[float]) -> str:
    """Percentiles of times."""
    low, high = np.percentile(seconds, [50, 95]) * 1e3
    return f"p50 {low:.2f} ms, p95 {high:.2f} ms"


def measure(database: Database, count: int, fewest: int, show: Callable[[str], None]) -> None:
    """Show what it costs, in an empty database."""
    drawing = Drawing(11)
    spec = EncoderSpec("drawn", DIMENSION, "d" * 64)
    with database.write() as session:
        encoder_id = activate_initial_encoder(session, spec, utc_now()).id
    none = seconds_of_listings(database, drawing, SavedSearchMatcher(utc_now, LANGUAGE))
    texts = queries(drawing, count, fewest)
    save(database, encoder_id, texts)
    saved = seconds_of_listings(database, drawing, SavedSearchMatcher(utc_now, LANGUAGE))
    with database.read() as session:
        matches = session.scalars(select(func.count()).select_from(SavedSearchMatch)).one()
        changes = last_listing_change(session)
    show(f"with none saved:       {shown(none)}")
    show(f"with {count:,} saved:    {shown(saved)}")
    show(f"of that in memory:     {shown(seconds_in_memory(database, drawing, texts))}")
    show(f"{matches / (LISTINGS + 1):.1f} matches of a listing, {changes} listing changes")


def main() -> None:
    """Print what it costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--saved", type=int, default=10_000)
    parser.add_argument("--fewest", type=int, default=1, help="words of a search")
    parser.add_argument("--database", help="an empty one; SQLite in a temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'marketlens.db'}"
        upgrade(url)
        with closing(Database(url)) as database:
            measure(database, options.saved, options.fewest, print)


if __name__ == "__main__":
    main()
