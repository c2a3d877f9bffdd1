"""A cleaned feed (`models.cleaned_feed`) as a source of listings and photos, and as a sink.

`marketlens clean` writes it, possibly on another machine; `marketlens seed` loads it.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from db.catalogue.listing_photos import PhotoData
from db.catalogue.listings import ListingData
from db.statements import chunks
from db.store.photo_store import PhotoStore
from etl.clean.feed import TableRows, is_photo_file
from etl.clean.rejects import Consequence
from etl.clean.staging import read_listings
from etl.clean.uuids import Ids
from etl.load.sink import IsListed
from etl.photos.prepare import FeedPhoto, PreparedPhoto
from models.cleaned_feed import (
    IMAGES_FILE,
    IMAGES_SCHEMA,
    PHOTO_FOLDER,
    PRODUCTS_FILE,
    PRODUCTS_SCHEMA,
    REJECTS_FILE,
    ImageRow,
    ProductId,
    count_rows,
    images_schema,
    is_complete,
    mapped_by,
    photos_known,
    read_rows,
)
from models.domain.durable_files import part_path
from models.domain.errors import NotFound
from models.domain.text import clean_category, clean_line, clean_text


class CleanedFolder:
    """Reads the cleaned feed in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._products = folder / PRODUCTS_FILE
        self._images = folder / IMAGES_FILE
        self._rejects = folder / REJECTS_FILE
        self._photos = folder / PHOTO_FOLDER
        self._store = PhotoStore(self._photos)

    def exists(self) -> bool:
        """Whether there is one."""
        return is_complete(self._folder)

    def has_photos(self) -> bool:
        """Whether photos are known: the feed had a photo folder, and its clean copy is here."""
        return photos_known(self._folder) and self._photos.is_dir()

    def rows(self) -> TableRows:
        """Its row counts. Raises InvalidFeed when it can't be read or has another schema."""
        return TableRows(
            count_rows(self._products, PRODUCTS_SCHEMA),
            count_rows(self._images, IMAGES_SCHEMA),
        )

    def listings(self) -> Iterator[ListingData]:
        """The listings, in the feed's order."""
        return map(_normalised, read_listings(self._products))

    def listed_ids(self) -> Iterator[list[str]]:
        """The ids of all products that the feed listed, those of rejected rows included."""
        for rows in chunks(read_rows(self._products, ProductId)):
            yield [row.id for row in rows]
        ids = Ids(mapped_by(self._folder))
        with self._rejects.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if _is_product(row) and (listed := ids.listed(row["id"])):
                    yield [listed]

    def photos(self, store: PhotoStore | None) -> Iterator[PreparedPhoto]:
        """The photos in the order of `listings`, copied into the store if there is one.

        They are standardised already: encoding them again would cost quality.
        """
        for row, image in enumerate(read_rows(self._images, ImageRow), start=2):
            source = FeedPhoto(row, image.id, image.product_id, self._folder)
            if image.sha256 is None or image.width is None or image.height is None:
                yield PreparedPhoto(source, None, image.reason or "It was not usable.")
            else:
                photo = PhotoData(image.sha256, image.width, image.height, bool(image.incomplete))
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


def _is_product(row: Mapping[str, str]) -> bool:
    """Whether a row of a report of rejects is a product that the feed lists."""
    # Earlier releases wrote no consequence: every row was rejected.
    consequence = row.get("consequence") or Consequence.REJECTED
    return not is_photo_file(row["file"]) and consequence != Consequence.NOT_OFFERED


def _normalised(listing: ListingData) -> ListingData:
    """The listing by this release's rules for text: another one may have cleaned the feed."""
    return replace(
        listing,
        title=clean_line(listing.title),
        description=clean_text(listing.description),
        category=clean_category(listing.category or "") or None,
        location=clean_line(listing.location or "") or None,
        seller=clean_line(listing.seller or "") or None,
    )


class CleanedWriter:
    """The sink that writes a cleaned folder from the folder of a staging area."""

    def __init__(self, folder: Path, staging: Path) -> None:
        self._staged = staging / PRODUCTS_FILE
        self._products = folder / PRODUCTS_FILE
        self._images = folder / IMAGES_FILE
        self._photos = folder / PHOTO_FOLDER

    def start(self, images: int | None) -> None:
        """Start again: the folder is not a cleaned feed until `end`."""
        self._images.unlink(missing_ok=True)
        if images is not None:
            self._photos.mkdir(exist_ok=True)
        schema = images_schema(photos_known=images is not None)
        self._writer = pq.ParquetWriter(part_path(self._images), schema)

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Write the photos; the listings are in the staging area's file already."""
        del listings
        rows = [
            {
                "id": photo.source.id,
                "product_id": photo.source.listing_id,
                "sha256": photo.data and photo.data.sha256,
                "width": photo.data and photo.data.width,
                "height": photo.data and photo.data.height,
                "reason": photo.reason or None,
                "incomplete": photo.data and photo.data.incomplete,
            }
            for photo in photos or ()
        ]
        self._writer.write_table(pa.Table.from_pylist(rows, IMAGES_SCHEMA))

    def end(self, is_listed: IsListed) -> None:
        """Put both files in place, the images last."""
        del is_listed
        self._writer.close()
        self._staged.replace(self._products)
        part_path(self._images).replace(self._images)
