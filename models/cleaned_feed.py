"""The format of a cleaned feed, which `marketlens clean` writes. Needs pyarrow.

A folder of `products.parquet`, `images.parquet`, `rejects.csv`, `report.json`, and `photos/`, a
photo store of standardised photos. Products are in the feed's order, images in the order of their
products.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from models.domain.errors import InvalidFeed
from models.domain.text import clean_category

PRODUCTS_FILE: Final = "products.parquet"
IMAGES_FILE: Final = "images.parquet"
REJECTS_FILE: Final = "rejects.csv"
REPORT_FILE: Final = "report.json"
PHOTO_FOLDER: Final = "photos"
REQUIRED_FILES: Final = (PRODUCTS_FILE, IMAGES_FILE, REJECTS_FILE)
"""A folder that has all of these is a cleaned feed."""

PRODUCTS_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("description", pa.string()),
        ("category", pa.string()),
        ("price", pa.decimal128(14, 2)),
        ("currency", pa.string()),
        ("price_suspect", pa.bool_()),
        ("location", pa.string()),
        ("place", pa.string()),
        ("county", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("seller", pa.string()),
        # A JSON object.
        ("attributes", pa.string()),
    ]
)

# Of feeds whose ids are the caller's own, or which state what is sold.
SHOP_PRODUCTS_SCHEMA: Final = PRODUCTS_SCHEMA.append(pa.field("external_id", pa.string())).append(
    pa.field("status", pa.string())
)

# A photo that could not be used has a reason instead of a SHA-256.
IMAGES_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("product_id", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("reason", pa.string()),
        ("incomplete", pa.bool_()),
    ]
)

ADDED_LATER: Final = frozenset({"incomplete", "external_id", "status", "attributes"})
"""Columns that some files lack, such as those of earlier releases: there they are None."""

_PHOTOS_KEY: Final = b"marketlens.photos"
_KNOWN, _UNKNOWN = b"known", b"unknown"
_FEED_KEY: Final = b"marketlens.feed"

ROWS_AT_ONCE: Final = 2_000


class ProductRow(NamedTuple):
    """A row of `PRODUCTS_FILE`, with the columns that a listing is made from."""

    id: str
    title: str
    description: str
    category: str | None
    price: Decimal | None
    currency: str | None
    location: str | None
    latitude: float | None
    longitude: float | None
    seller: str | None
    external_id: str | None
    status: str | None
    attributes: str | None


class ProductId(NamedTuple):
    """The id of a row of `PRODUCTS_FILE`."""

    id: str


class ImageRow(NamedTuple):
    """A row of `IMAGES_FILE`: a photo's SHA-256 and size in pixels, or the reason for none.

    `incomplete` says that some of its pixels were not in the feed's file, None that it is unknown.
    """

    id: str
    product_id: str
    sha256: str | None
    width: int | None
    height: int | None
    reason: str | None
    incomplete: bool | None


class _Category(NamedTuple):
    id: str
    category: str | None


class _Photo(NamedTuple):
    product_id: str
    sha256: str | None


Row = TypeVar("Row", ProductRow, ProductId, ImageRow, _Category, _Photo)


class ListingPhotos(NamedTuple):
    """A listing's category path, if it has one, and the SHA-256 of its photos, in order."""

    id: str
    category: str | None
    photos: Sequence[str]


def is_complete(folder: Path) -> bool:
    """Whether the folder is a cleaned feed."""
    return all((folder / name).is_file() for name in REQUIRED_FILES)


def has_tables(folder: Path) -> bool:
    """Whether the folder has the tables that `read_listing_photos` reads."""
    return all((folder / name).is_file() for name in (PRODUCTS_FILE, IMAGES_FILE))


def images_schema(*, photos_known: bool) -> pa.Schema:
    """`IMAGES_SCHEMA` for a new file, which notes whether the feed came with its photos."""
    return IMAGES_SCHEMA.with_metadata({_PHOTOS_KEY: _KNOWN if photos_known else _UNKNOWN})


def products_schema(*, extended: bool, mapped_by: str | None) -> pa.Schema:
    """The schema for a new file; it notes the feed's name if ids are mapped to UUIDs by it."""
    schema = SHOP_PRODUCTS_SCHEMA if extended else PRODUCTS_SCHEMA
    return schema if mapped_by is None else schema.with_metadata({_FEED_KEY: mapped_by.encode()})


def mapped_by(folder: Path) -> str | None:
    """The feed by whose name ids are mapped. Raises OSError and ArrowException."""
    metadata = pq.read_schema(folder / PRODUCTS_FILE).metadata or {}
    return metadata[_FEED_KEY].decode() if _FEED_KEY in metadata else None


def photos_known(folder: Path) -> bool:
    """Whether the feed came with its photos. Raises OSError and ArrowException."""
    metadata = pq.read_schema(folder / IMAGES_FILE).metadata
    return bool(metadata.get(_PHOTOS_KEY) == _KNOWN)


def count_rows(path: Path, schema: pa.Schema) -> int:
    """The number of a Parquet file's rows. Raises InvalidFeed if it has not this schema."""
    try:
        with pq.ParquetFile(path) as file:
            if _without_added(file.schema_arrow).equals(_without_added(schema)):
                rows: int = file.metadata.num_rows
                return rows
    except (OSError, pa.ArrowException) as error:
        raise InvalidFeed(f"{path} can't be read.") from error
    raise InvalidFeed(f"{path} was not written by this release: clean the feed again.")


def _without_added(schema: pa.Schema) -> pa.Schema:
    return pa.schema([column for column in schema if column.name not in ADDED_LATER])


def read_rows(path: Path, row_type: type[Row]) -> Iterator[Row]:
    """The rows of a Parquet file, a few thousand in memory at a time.

    Reads only the columns that `row_type` has fields for. Raises OSError, and ArrowException for a
    damaged file or a missing column.
    """
    columns = list(row_type._fields)
    with pq.ParquetFile(path) as file:
        lacking = set(columns) - set(file.schema_arrow.names)
        if missing := lacking - ADDED_LATER:
            raise pa.ArrowKeyError(f"{path} has no column {min(missing)}.")
        # Row group by row group: in a single iteration, pyarrow keeps all that it has read.
        for group in range(file.num_row_groups):
            there = [name for name in columns if name not in lacking]
            for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=there):
                values = (
                    [None] * batch.num_rows if name in lacking else batch.column(name).to_pylist()
                    for name in columns
                )
                yield from map(row_type._make, zip(*values, strict=True))


def read_listing_photos(folder: Path) -> Iterator[ListingPhotos]:
    """The listings in the feed's order, with the SHA-256 of their usable photos, without repeats.

    Raises InvalidFeed if the tables can't be read.
    """
    try:
        products = list(read_rows(folder / PRODUCTS_FILE, _Category))
        images = list(read_rows(folder / IMAGES_FILE, _Photo))
    except (OSError, pa.ArrowException) as error:
        raise InvalidFeed(f"{folder} can't be read as a cleaned feed: clean it again.") from error
    photos: dict[str, list[str]] = {product.id: [] for product in products}
    for image in images:
        if image.sha256 is not None and image.sha256 not in photos[image.product_id]:
            photos[image.product_id].append(image.sha256)
    for product in products:
        # A folder that an earlier release has cleaned may spell it otherwise.
        category = clean_category(product.category or "") or None
        yield ListingPhotos(product.id, category, photos[product.id])
