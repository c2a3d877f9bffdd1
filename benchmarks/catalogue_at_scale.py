"""Fills a database with a drawn catalogue, for measuring at 1,000,000 listings.

    python benchmarks/catalogue_at_scale.py --database-url URL [--listings N] [--dimension D]

An empty SQLite file or PostgreSQL database is brought to the schema of this release and filled
through `Database.write`, so that what is derived of listings is there as the product writes it:
100 categories, prices, 500 places, sellers, creation times of a year, one photo a listing, and
five attributes (brand: 1,000 names by Zipf's law, colour 20, size 12, condition 4, weight: a
number). The words of titles and descriptions are drawn by Zipf's law from a vocabulary of 200,000.
With `--dimension` each photo also has an embedding, a random unit vector. The same seed draws the
same catalogue. `Drawing` is what other benchmarks draw queries from.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.catalogue.categories import ensure_categories
from db.catalogue.touched import touch_listings
from db.schema_migration import upgrade
from db.session import Database
from db.statements import insert_rows, is_postgresql
from db.tables import Embedding, Encoder, Listing, ListingPhoto, Photo
from models.domain.types import EncoderStatus

BATCH = 5_000
VOCABULARY = 200_000
BRANDS, SIZES, CATEGORIES, PLACES, SELLERS = 1_000, 12, 100, 500, 50_000
COLOURS = (
    *("black", "white", "red", "blue", "green", "yellow", "pink", "grey", "brown", "beige"),
    *("navy", "purple", "orange", "silver", "gold", "cream", "teal", "khaki", "maroon", "olive"),
)
CONDITIONS = ("new", "like new", "used", "for parts")
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"
END = datetime(2030, 1, 1, tzinfo=UTC)
"""When the newest listing was created."""

Row = dict[str, object]


class Drawing:
    """What a catalogue is drawn from: its words, most frequent first, and all else by `rng`."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.words = _pronounceable(np.random.default_rng(7), VOCABULARY)
        self.brands = [f"{word}co" for word in self.words[1_000 : 1_000 + BRANDS]]
        self.categories = [
            f"Root {root} / {self.words[500 + root * 10 + sub].capitalize()}"
            for root in range(10)
            for sub in range(CATEGORIES // 10)
        ]
        places = np.random.default_rng(8)
        self.places = [
            (f"{self.words[2_000 + n].capitalize()}, County {n % 40}", latitude, longitude)
            for n, (latitude, longitude) in enumerate(
                zip(places.uniform(50, 58, PLACES), places.uniform(-6, 2, PLACES), strict=True)
            )
        ]

    def ranks(self, size: int, count: int) -> NDArray[np.int64]:
        """`count` ranks below `size` by Zipf's law: the share of rank r falls as 1 / (r + 3)."""
        shares = np.cumsum(1 / np.arange(3, size + 3))
        drawn: NDArray[np.int64] = np.searchsorted(shares, self.rng.random(count) * shares[-1])
        return np.minimum(drawn, np.int64(size - 1))

    def texts(self, count: int, shortest: int, longest: int) -> list[str]:
        """`count` texts of so many words."""
        lengths = self.rng.integers(shortest, longest + 1, count)
        words = [self.words[rank] for rank in self.ranks(VOCABULARY, int(lengths.sum()))]
        ends = np.cumsum(lengths)
        return [
            " ".join(words[end - length : end])
            for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
        ]

    def listings(
        self, first: int, count: int, total: int, categories: dict[str, int]
    ) -> Iterator[Row]:
        """The rows of listings from this number on."""
        rng = self.rng
        titles, texts = self.texts(count, 3, 8), self.texts(count, 10, 60)
        brands, colours = self.ranks(BRANDS, count), rng.integers(0, len(COLOURS), count)
        sizes, conditions = rng.integers(0, SIZES, count), rng.integers(0, 4, count)
        weights = np.round(rng.lognormal(0, 1, count), 2)
        chosen, sellers = self.ranks(CATEGORIES, count), self.ranks(SELLERS, count)
        places, prices = rng.integers(0, PLACES, count), np.round(rng.lognormal(3.5, 1.2, count), 2)
        ids = rng.bytes(16 * count)
        for n in range(count):
            place, latitude, longitude = self.places[places[n]]
            created = END - timedelta(days=365) * ((total - first - n) / total)
            yield {
                "id": UUID(bytes=ids[16 * n : 16 * n + 16], version=4),
                "number": first + n + 1,
                "title": titles[n].capitalize(),
                "description": texts[n].capitalize() + ".",
                "category_id": categories[self.categories[chosen[n]]],
                "price": Decimal(str(prices[n])),
                "currency": "GBP",
                "price_suspect": False,
                "location": place,
                "place": place.partition(", ")[0],
                "county": place.partition(", ")[2],
                "latitude": float(latitude),
                "longitude": float(longitude),
                "seller": f"seller{sellers[n]}",
                "attributes": {
                    "brand": self.brands[brands[n]],
                    "colour": COLOURS[colours[n]],
                    "condition": CONDITIONS[conditions[n]],
                    "size": f"size{sizes[n]}",
                    "weight": float(weights[n]),
                },
                "status": "active",
                "created_at": created,
                "updated_at": created,
            }


def _pronounceable(rng: np.random.Generator, count: int) -> list[str]:
    """Distinct words of two to four syllables, the shorter ones first."""
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = 2 + (len(found) > count // 50) + (len(found) > count // 2)
        for consonants, vowels in zip(
            rng.integers(0, len(CONSONANTS), (10_000, syllables)).tolist(),
            rng.integers(0, len(VOWELS), (10_000, syllables)).tolist(),
            strict=True,
        ):
            pairs = zip(consonants, vowels, strict=True)
            found["".join(CONSONANTS[c] + VOWELS[v] for c, v in pairs)] = None
    return list(found)[:count]


def fill(database: Database, drawing: Drawing, listings: int, dimension: int) -> None:
    """Write a catalogue into an empty database; says how far it is."""
    began = time.monotonic()
    with database.write() as session:
        categories = ensure_categories(session, drawing.categories)
        encoder = _encoder(session, dimension) if dimension else None
    for first in range(0, listings, BATCH):
        count = min(BATCH, listings - first)
        rows = list(drawing.listings(first, count, listings, categories))
        with database.write() as session:
            _insert(session, rows, first, encoder, dimension, drawing.rng)
        done = first + count
        if done % 50_000 == 0 or done == listings:
            rate = done / (time.monotonic() - began)
            print(f"{done:,} listings, {rate:,.0f} a second", flush=True)
    with database.write() as session:
        if is_postgresql(session):
            session.execute(text("SELECT setval('listing_numbers', :n)"), {"n": listings})
            session.execute(text("SELECT setval('photos_id_seq', :n)"), {"n": listings})
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))


def _insert(
    session: Session,
    rows: list[Row],
    first: int,
    encoder: int | None,
    dimension: int,
    rng: np.random.Generator,
) -> None:
    insert_rows(session, Listing, rows)
    numbers = range(first + 1, first + 1 + len(rows))
    photos: list[Row] = [
        {
            "id": number,
            "sha256": f"{number:064x}",
            "width": 3,
            "height": 4,
            "incomplete": False,
            "created_at": END,
        }
        for number in numbers
    ]
    insert_rows(session, Photo, photos)
    shown: list[Row] = [
        {"listing_id": row["id"], "photo_id": number, "position": 0}
        for row, number in zip(rows, numbers, strict=True)
    ]
    insert_rows(session, ListingPhoto, shown)
    if encoder is not None:
        vectors = rng.standard_normal((len(rows), dimension), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        embeddings: list[Row] = [
            {"encoder_id": encoder, "photo_id": number, "vector": vector.astype("<f2").tobytes()}
            for number, vector in zip(numbers, vectors, strict=True)
        ]
        insert_rows(session, Embedding, embeddings)
    touch_listings(session, [row["id"] for row in rows if isinstance(row["id"], UUID)])


def _encoder(session: Session, dimension: int) -> int:
    stated = {
        "name": "hog",
        "fingerprint": "0" * 64,
        "dimension": dimension,
        "status": EncoderStatus.ACTIVE,
        "created_at": END,
        "activated_at": END,
    }
    insert_rows(session, Encoder, [stated])
    return session.scalars(select(Encoder.id)).one()


def main() -> None:
    """Fill the database that the options name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--listings", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    upgrade(options.database_url)
    database = Database(options.database_url)
    fill(database, Drawing(options.seed), options.listings, options.dimension)
    database.close()


if __name__ == "__main__":
    main()
