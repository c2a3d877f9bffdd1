"""Clean a feed's two tables, chunk by chunk, into a staging area."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from etl.clean.feed_tables import IMAGES, PRODUCTS, Table, open_table
from etl.clean.rejects import Reject, Rejects
from etl.clean.staging import Staging
from etl.clean.transform import clean_images, clean_products, without_orphans, without_repeats
from etl.clean.uuids import canonical_id, is_id
from etl.photos.photo_lookup import existing_folder
from models.domain.errors import InvalidFeed

PHOTO_FOLDER = "images"
ROWS_PER_CHUNK = 10_000

OnProgress = Callable[[int, int], None]
"""Called with how much is done, and how much there is to do."""


@dataclass(frozen=True, slots=True)
class RawFeed:
    """A raw feed: its two open tables, and the folder of its photos."""

    products: Table
    images: Table
    photo_folder: Path

    def notes(self) -> list[str]:
        """Notes for the report, in sentences."""
        notes = [
            f"{name}: the columns {', '.join(table.ignored)} are ignored."
            for name, table in ((PRODUCTS.name, self.products), (IMAGES.name, self.images))
            if table.ignored
        ]
        if not self.photo_folder.is_dir():
            notes.append(f"There is no folder {self.photo_folder.name}: photos stay as they are.")
        return notes


@dataclass(frozen=True, slots=True)
class TableRows:
    """How many rows were read from each table."""

    products: int
    images: int


def open_feed(folder: Path) -> RawFeed:
    """Open both tables of the feed in this folder. Raises InvalidFeed."""
    if not folder.is_dir():
        raise InvalidFeed(f"There is no folder {folder}.")
    return RawFeed(
        products=open_table(folder / PRODUCTS.name, PRODUCTS),
        images=open_table(folder / IMAGES.name, IMAGES),
        photo_folder=existing_folder(folder / PHOTO_FOLDER),
    )


def clean_tables(
    feed: RawFeed, staging: Staging, rejects: Rejects, on_progress: OnProgress
) -> TableRows:
    """Clean both tables: every row goes to `staging` or `rejects`. Progress counts bytes."""
    size = feed.products.size + feed.images.size
    on_progress(0, size)
    products = images = 0
    for chunk in feed.products.chunks(ROWS_PER_CHUNK):
        cleaned = clean_products(chunk.frame)
        known = staging.usable_products(cleaned.frame["id"])
        cleaned = without_repeats(cleaned, known, PRODUCTS.name)
        staging.add_products(cleaned.frame)
        rejected = _in_order(chunk.rejects + cleaned.rejects)
        staging.add_unusable_products(
            canonical_id(reject.id) for reject in rejected if is_id(reject.id)
        )
        rejects.add(rejected)
        products += chunk.rows
        on_progress(chunk.position, size)
    staging.end_products()
    for chunk in feed.images.chunks(ROWS_PER_CHUNK):
        cleaned = clean_images(chunk.frame)
        cleaned = without_orphans(cleaned, staging.usable_products(cleaned.frame["product_id"]))
        known = staging.known_images(cleaned.frame["id"])
        cleaned = without_repeats(cleaned, known, IMAGES.name)
        staging.add_images(cleaned.frame)
        rejects.add(_in_order(chunk.rejects + cleaned.rejects))
        images += chunk.rows
        on_progress(feed.products.size + chunk.position, size)
    return TableRows(products, images)


def _in_order(rejects: Iterable[Reject]) -> list[Reject]:
    return sorted(rejects, key=lambda reject: reject.row)
