"""Clean a feed's tables, chunk by chunk, into a staging area."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from etl.clean.currencies import HOME_CURRENCY
from etl.clean.feed_tables import (
    ATTRIBUTES,
    IMAGES,
    PAIRED,
    PRODUCTS,
    Chunk,
    Table,
    open_table,
)
from etl.clean.prices import decimal_separator
from etl.clean.rejects import Consequence, Reject, Rejects, shorten
from etl.clean.staging import StagedPhoto, Staging
from etl.clean.transform import (
    Cleaned,
    Rules,
    clean_images,
    clean_products,
    without_orphans,
    without_repeats,
)
from etl.clean.uuids import AS_THEY_ARE, SAMPLE, Ids, ids_of
from etl.photos.photo_lookup import existing_folder
from etl.tables.attributes import kinds_of
from etl.tables.find import TableFiles, find_tables
from etl.tables.photo_references import as_path, as_url, is_url
from etl.tables.shop_table import ShopTable
from models.domain.text import clean_line

PHOTO_FOLDER = "images"
ROWS_PER_CHUNK = 10_000
_OF_PHOTOS = " (photos)"

OnProgress = Callable[[int, int], None]
"""Called with how much is done, and how much there is to do."""


@dataclass(frozen=True, slots=True)
class RawFeed:
    """A raw feed: its open tables, how they are to be read, and the folder of its photos.

    A shop's table names photos itself; then there is no table of images, and `photo_folder` is the
    one that the table is in.
    """

    products: Table | ShopTable
    images: Table | None
    photo_folder: Path
    rules: Rules
    image_ids: Ids

    @property
    def product_file(self) -> str:
        """What the report calls the table of products."""
        return self.rules.file

    @property
    def photo_file(self) -> str:
        """What the report calls the rows of photos."""
        return IMAGES.name if self.images else f"{self.rules.file}{_OF_PHOTOS}"

    @property
    def has_photos(self) -> bool:
        """Whether photos are known: a folder that was not copied says nothing about them."""
        if isinstance(self.products, ShopTable):
            return self.products.has_photos
        return self.photo_folder.is_dir()

    def notes(self) -> list[str]:
        """Notes for the report, in sentences."""
        if isinstance(self.products, ShopTable):
            notes = [f"{self.product_file}: {sentence}." for sentence in self.products.notes()]
            if not self.products.has_photos:
                notes.append(f"{self.product_file} names no photos: they stay as they are.")
            return notes
        notes = [
            f"{table.spec.name}: the columns {', '.join(table.ignored)} are ignored."
            for table in (self.products, self.images)
            if table and table.ignored
        ]
        notes += [
            f"{table.spec.name}: call the column {column} {name} if it is meant so."
            for table in (self.products, self.images)
            if table
            for column, name in table.meant().items()
        ]
        if not self.photo_folder.is_dir():
            notes.append(f"There is no folder {self.photo_folder.name}: photos stay as they are.")
        return notes


@dataclass(frozen=True, slots=True)
class TableRows:
    """How many rows were read from each table."""

    products: int
    images: int


def is_photo_file(name: str) -> bool:
    """Whether a report calls rows of photos so."""
    return name == IMAGES.name or name.endswith(_OF_PHOTOS)


def open_feed(
    place: Path,
    feed: str,
    home_currency: str = HOME_CURRENCY,
    attributes: Sequence[str] | None = None,
) -> RawFeed:
    """Open the tables of the feed in this folder or file. Raises InvalidFeed.

    `feed` is its name, by which ids that are no UUIDs are mapped; `home_currency` what prices
    without a symbol are in. `attributes` are the columns that become attributes of listings, see
    `etl.tables.attributes.choose`.
    """
    found = find_tables(place)
    if isinstance(found, TableFiles):
        products = open_table(found.products, PRODUCTS).with_attributes(attributes)
        images = open_table(found.images, IMAGES)
        rules = _rules(products, feed, home_currency)
        image_ids = ids_of(feed, _sample(images)["id"])
        photo_folder = existing_folder(found.folder / PHOTO_FOLDER)
        return RawFeed(products, images, photo_folder, rules, image_ids)
    found.table.choose_attributes(attributes)
    rules = _rules(found.table, feed, home_currency)
    return RawFeed(found.table, None, found.folder, rules, AS_THEY_ARE)


def clean_tables(
    feed: RawFeed, staging: Staging, rejects: Rejects, on_progress: OnProgress
) -> TableRows:
    """Clean all tables: every row goes to `staging` or `rejects`. Progress counts bytes."""
    size = feed.products.size + (feed.images.size if feed.images else 0)
    on_progress(0, size)
    products = photos = 0
    for chunk in feed.products.chunks(ROWS_PER_CHUNK):
        cleaned = clean_products(chunk.frame, feed.rules)
        known = staging.usable_products(cleaned.frame["id"])
        cleaned = without_repeats(cleaned, known, feed.product_file)
        staging.add_products(cleaned.frame)
        rejected = _in_order(chunk.rejects + cleaned.rejects)
        staging.add_unusable_products(_listed(rejected, feed.rules.ids))
        usable = set(cleaned.frame.index)
        left_out = [reject for reject in chunk.left_out if reject.row in usable]
        rejects.add(_in_order(rejected + cleaned.left_out + left_out))
        photos += _stage_photos(feed, chunk, cleaned, staging, rejects)
        products += chunk.rows
        on_progress(chunk.position, size)
    staging.end_products()
    if feed.images:
        photos = _clean_images(feed, feed.images, staging, rejects, on_progress)
    return TableRows(products, photos)


def _clean_images(
    feed: RawFeed, table: Table, staging: Staging, rejects: Rejects, on_progress: OnProgress
) -> int:
    images = 0
    for chunk in table.chunks(ROWS_PER_CHUNK):
        cleaned = clean_images(chunk.frame, feed.image_ids, feed.rules.ids)
        cleaned = without_orphans(cleaned, staging.usable_products(cleaned.frame["product_id"]))
        known = staging.known_images(cleaned.frame["id"])
        cleaned = without_repeats(cleaned, known, IMAGES.name)
        staging.add_images(cleaned.frame)
        rejects.add(_in_order(chunk.rejects + cleaned.rejects))
        images += chunk.rows
        on_progress(feed.products.size + chunk.position, feed.products.size + table.size)
    return images


def _stage_photos(
    feed: RawFeed, chunk: Chunk, cleaned: Cleaned, staging: Staging, rejects: Rejects
) -> int:
    """Stage the photos that rows of products name; returns how many they are."""
    count = 0
    photos: list[StagedPhoto] = []
    refused: list[Reject] = []
    product_ids = cleaned.frame["id"]
    for row, references in chunk.photos.items():
        if row not in product_ids.index:
            continue
        count += len(references)
        product_id = str(product_ids[row])
        for ordinal, reference in enumerate(references):
            try:
                named = as_url(reference) if is_url(reference) else as_path(reference)
            except ValueError as error:
                refused.append(
                    Reject(feed.photo_file, row, shorten(reference), "photo", str(error))
                )
            else:
                photo_id = str(uuid5(UUID(product_id), named))
                photos.append(StagedPhoto(row, ordinal, photo_id, product_id, named))
    staging.add_photos(photos)
    rejects.add(refused)
    return count


def _rules(table: Table | ShopTable, feed: str, home_currency: str) -> Rules:
    sample = _sample(table)
    is_shop = isinstance(table, ShopTable)
    prices = (clean_line(text.partition(PAIRED)[0]) for text in sample["price"])
    return Rules(
        file=table.name if isinstance(table, ShopTable) else table.spec.name,
        ids=ids_of(feed, sample["id"]),
        decimal=decimal_separator(prices),
        home_currency=home_currency,
        shop=is_shop,
        attributes=kinds_of(sample[ATTRIBUTES]) if table.attributes.positions else None,
    )


def _sample(table: Table | ShopTable) -> dict[str, list[str]]:
    """The columns of a table's first rows."""
    chunk = next(iter(table.chunks(SAMPLE)), None)
    if chunk is None:
        return {"id": [], "price": [], ATTRIBUTES: []}
    return {str(name): chunk.frame[name].tolist() for name in chunk.frame.columns}


def _listed(rejected: Iterable[Reject], ids: Ids) -> list[str]:
    """The products of rejected rows that the feed lists nevertheless."""
    named = (
        ids.listed(reject.id)
        for reject in rejected
        if reject.consequence is not Consequence.NOT_OFFERED
    )
    return [product_id for product_id in named if product_id]


def _in_order(rejects: Iterable[Reject]) -> list[Reject]:
    return sorted(rejects, key=lambda reject: reject.row)
