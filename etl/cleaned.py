"""A cleaned feed: `products.parquet`, `images.parquet`, `rejects.csv`, and `photos/` as they rest.

`marketlens clean` writes it, on whatever machine has the cores; `marketlens seed` takes it in.
"""

import csv
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from db.listings import ListingData, PhotoData
from db.photos import PhotoStore
from db.statements import chunks
from etl.clean import TableRows
from etl.ids import canonical_id, is_id
from etl.images import FeedPhoto, PreparedPhoto
from etl.rejects import aside
from etl.sink import IsListed
from etl.staging import PRODUCTS_FILE as STAGED_PRODUCTS
from etl.staging import read_listings, read_rows
from etl.tables import PRODUCTS
from models.errors import InvalidFeed, NotFound

PRODUCTS_FILE = "products.parquet"
IMAGES_FILE = "images.parquet"
REJECTS_FILE = "rejects.csv"
REPORT_FILE = "report.json"
PHOTO_FOLDER = "photos"

IMAGES_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("product_id", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)


class CleanedFolder:
    """The cleaned feed in a folder, to read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._products = folder / PRODUCTS_FILE
        self._images = folder / IMAGES_FILE
        self._store = PhotoStore(str(folder / PHOTO_FOLDER))

    def exists(self) -> bool:
        """Whether there is one."""
        return self._products.is_file() and self._images.is_file()

    def rows(self) -> TableRows:
        """How many rows it has. Raises InvalidFeed when it can't be read."""
        try:
            return TableRows(
                pq.read_metadata(self._products).num_rows, pq.read_metadata(self._images).num_rows
            )
        except (OSError, pa.ArrowException) as error:
            raise InvalidFeed(f"{self._folder} holds no cleaned feed that can be read.") from error

    def listings(self) -> Iterator[ListingData]:
        """The listings, in the feed's order."""
        return read_listings(self._products)

    def listed_ids(self) -> Iterator[list[str]]:
        """The ids of all products that the feed listed, those of rejected rows included."""
        for rows in chunks(read_rows(self._products, ["id"])):
            yield [row["id"] for row in rows]
        with (self._folder / REJECTS_FILE).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["file"] == PRODUCTS.name and is_id(row["id"]):
                    yield [canonical_id(row["id"])]

    def photos(self, store: PhotoStore | None) -> Iterator[PreparedPhoto]:
        """The photos in the order of `listings`, copied into the store if there is one.

        They are as photos rest, and stay so: standardising them again would cost quality.
        """
        for row, image in enumerate(read_rows(self._images), start=2):
            source = FeedPhoto(row, image["id"], image["product_id"], self._folder)
            photo = PhotoData(image["sha256"], image["width"], image["height"])
            yield self._copy(source, photo, store)

    def _copy(self, source: FeedPhoto, photo: PhotoData, store: PhotoStore | None) -> PreparedPhoto:
        try:
            data = self._store.get(photo.sha256)
        except NotFound as error:
            return PreparedPhoto(source, None, str(error))
        if sha256(data).hexdigest() != photo.sha256:
            return PreparedPhoto(source, None, "The photo is not the one that was cleaned.")
        if store is not None:
            store.put(data)
        return PreparedPhoto(source, photo)


class CleanedWriter:
    """The sink that completes a cleaned folder out of the folder of a staging area."""

    def __init__(self, folder: Path, staging: Path) -> None:
        self._staged = staging / STAGED_PRODUCTS
        self._products = folder / PRODUCTS_FILE
        self._images = folder / IMAGES_FILE

    def start(self) -> None:
        """Begin the file of images."""
        self._writer = pq.ParquetWriter(aside(self._images), IMAGES_SCHEMA)

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Write the photos; the listings are in the staging area's file already."""
        del listings
        rows = [
            {
                "id": photo.source.id,
                "product_id": photo.source.listing_id,
                "sha256": photo.data.sha256,
                "width": photo.data.width,
                "height": photo.data.height,
            }
            for photo in photos or ()
            if photo.data is not None
        ]
        self._writer.write_table(pa.Table.from_pylist(rows, IMAGES_SCHEMA))

    def end(self, is_listed: IsListed) -> None:
        """Put both files in place. The images come last: without them the folder is not clean."""
        del is_listed
        self._writer.close()
        self._images.unlink(missing_ok=True)
        self._staged.replace(self._products)
        aside(self._images).replace(self._images)
