"""A staging area: a feed's clean rows on disk, before they are loaded.

It turns two tables of any size and order into listings and their photos in the feed's order, in
bounded memory: the keys of all rows are in SQLite.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from db.catalogue.listings import ListingData
from db.statements import chunks
from models.cleaned_feed import PRODUCTS_FILE, PRODUCTS_SCHEMA, ProductRow, read_rows
from models.domain.types import ListingStatus

KEYS_FILE = "keys.db"
CACHE_KIB = 64 * 1024

_SCHEMA = f"""
    -- A scratch file, created anew by each run: nothing in it needs to survive a crash.
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -{CACHE_KIB};
    CREATE TABLE products (id BLOB PRIMARY KEY, position INTEGER) WITHOUT ROWID;
    CREATE TABLE image_ids (id BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE images (
        position INTEGER, row INTEGER, ordinal INTEGER, id TEXT, product_id TEXT, file TEXT,
        PRIMARY KEY (position, row, ordinal)
    ) WITHOUT ROWID;
"""


class StagedPhoto(NamedTuple):
    """A photo of a product: where the feed names it, its id, and its file or URL."""

    row: int
    ordinal: int
    id: str
    product_id: str
    file: str


class Staging:
    """The clean rows of one feed in a folder; a context manager, empty at first.

    Products are added before their images: each chunk without repeats, images without orphans. The
    file of products has this schema.
    """

    def __init__(self, folder: Path, schema: pa.Schema = PRODUCTS_SCHEMA) -> None:
        self.products = 0
        self.images = 0
        self._schema = schema
        self.products_path = folder / PRODUCTS_FILE
        self._keys_path = folder / KEYS_FILE
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._keys_path.parent.mkdir(parents=True, exist_ok=True)
        self._keys_path.unlink(missing_ok=True)
        self._keys = sqlite3.connect(self._keys_path, isolation_level=None)
        # Both are large, and of no use to the next run.
        self._stack.callback(self._keys_path.unlink)
        self._stack.callback(self.products_path.unlink, missing_ok=True)
        self._stack.callback(self._keys.close)
        self._keys.executescript(_SCHEMA)
        self._keys.execute("BEGIN")
        self._writer = pq.ParquetWriter(self.products_path, self._schema)
        self._stack.callback(self._writer.close)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add_products(self, products: pd.DataFrame) -> None:
        """Add clean products, none of which was added before."""
        self._writer.write_table(pa.Table.from_pandas(products, self._schema, preserve_index=False))
        positions = range(self.products, self.products + len(products))
        self.products += len(products)
        self._keys.executemany(
            "INSERT INTO products VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET position = excluded.position",
            zip(map(_packed, products["id"]), positions, strict=True),
        )

    def add_unusable_products(self, product_ids: Iterable[str]) -> None:
        """Record products that the feed lists but that can't be used."""
        self._keys.executemany(
            "INSERT OR IGNORE INTO products VALUES (?, NULL)",
            ((_packed(product_id),) for product_id in product_ids),
        )

    def end_products(self) -> None:
        """No more products will be added; images may."""
        self._writer.close()

    def add_images(self, images: pd.DataFrame) -> None:
        """Add clean images, none of which was added before, of products that were."""
        self._keys.executemany(
            "INSERT INTO image_ids VALUES (?)", ((_packed(image_id),) for image_id in images["id"])
        )
        self.add_photos(
            map(
                StagedPhoto,
                *(images.index.tolist(), repeat(0), images["id"], images["product_id"]),
                images["file"],
            )
        )

    def add_photos(self, photos: Iterable[StagedPhoto]) -> None:
        """Add photos of products that were added: each once, by product, row and ordinal."""
        done = self._keys.executemany(
            "INSERT INTO images SELECT position, ?, ?, ?, ?, ? FROM products WHERE id = ?",
            ((*photo, _packed(photo.product_id)) for photo in photos),
        )
        self.images += max(0, done.rowcount)

    def usable_products(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are of added products."""
        return self._known("products WHERE position IS NOT NULL AND", ids)

    def listed_products(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that the feed lists, whether they can be used or not."""
        return self._known("products WHERE", ids)

    def known_images(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are of added images."""
        return self._known("image_ids WHERE", ids)

    def listings(self) -> Iterator[ListingData]:
        """The products as listings, in the order of the feed."""
        return read_listings(self.products_path)

    def photos(self) -> Iterator[StagedPhoto]:
        """The images, in the order of `listings`, then the feed's."""
        rows = self._keys.execute(
            "SELECT row, ordinal, id, product_id, file FROM images ORDER BY position, row, ordinal"
        )
        return map(StagedPhoto._make, rows)

    def _known(self, where: str, ids: Iterable[str]) -> set[str]:
        by_key = {_packed(one): one for one in ids}
        return {
            by_key[key]
            for chunk in chunks(by_key)
            for (key,) in self._keys.execute(
                # Text of this module and question marks: nothing of the feed is in the statement.
                f"SELECT id FROM {where} id IN ({', '.join('?' * len(chunk))})",  # noqa: S608
                chunk,
            )
        }


def read_listings(path: Path) -> Iterator[ListingData]:
    """The listings in a Parquet file of clean products, a few at a time."""
    for row in read_rows(path, ProductRow):
        yield ListingData(
            id=UUID(row.id),
            title=row.title,
            description=row.description,
            category=row.category,
            price=row.price,
            currency=row.currency,
            location=row.location,
            latitude=row.latitude,
            longitude=row.longitude,
            seller=row.seller,
            status=ListingStatus(row.status or ListingStatus.ACTIVE),
            external_id=row.external_id,
            attributes=None if row.attributes is None else json.loads(row.attributes),
        )


def _packed(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))
