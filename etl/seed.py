"""The whole intake. Running it again finishes what was begun, or changes nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from db.listings import CATEGORY_SEPARATOR, ListingData, PhotoData
from db.photos import PhotoStore
from db.session import Database
from db.statements import chunks
from etl.extract import IMAGES_FILE, PRODUCTS_FILE, RawFeed, extract
from etl.images import FeedPhoto, PreparedPhoto, prepare_photos
from etl.load import Loader
from etl.rejects import Reject, Tally
from etl.report import CategoryCount, SeedReport
from etl.transform import clean_images, clean_products
from models.domain import EncoderSpec
from workers.client import JobPublisher

LISTINGS_PER_TRANSACTION = 200


class Stage(StrEnum):
    """What a seed is busy with."""

    TABLES = "tables"
    PHOTOS = "photos"


OnProgress = Callable[[Stage, int, int], None]
"""Called with a stage, how much of it is done, and how much there is to do."""


@dataclass(frozen=True, slots=True)
class CleanFeed:
    """The usable rows of a feed; `photos` are in the order of `listings`, then in the feed's."""

    listings: list[ListingData]
    photos: list[FeedPhoto]
    rejects: list[Reject]


def seed(
    folder: Path,
    *,
    database: Database,
    store: PhotoStore,
    publisher: JobPublisher,
    encoder: EncoderSpec,
    max_photo_bytes: int,
    threads: int,
    clock: Callable[[], datetime],
    new_id: Callable[[], UUID],
    on_progress: OnProgress,
) -> SeedReport:
    """Take in the feed in this folder and queue the embedding of its photos.

    Raises InvalidFeed when a table can't be read, before anything is written. A row or a photo
    that can't be used is rejected by itself. What a killed run had committed stays, with its
    embedding queued; the next run goes on from there.
    """
    on_progress(Stage.TABLES, 0, 2)
    raw = extract(folder)
    on_progress(Stage.TABLES, 1, 2)
    feed = clean_feed(raw)
    on_progress(Stage.TABLES, 2, 2)

    loader = Loader(database, publisher, encoder, clock, new_id)
    loader.start()
    rejects = list(feed.rejects)
    accepted_photos = 0
    preparing = prepare_photos(feed.photos, store, max_bytes=max_photo_bytes, threads=threads)
    # Closed, so that its threads end with this function, whatever happens.
    with closing(preparing):
        counted = _counted(preparing, len(feed.photos), on_progress)
        for listings, photos in _transactions(feed, counted):
            usable, unusable = _sorted_out(photos)
            rejects += unusable
            accepted_photos += len(photos) - len(unusable)
            loader.load(listings, usable)
    loader.load_remaining()

    written = loader.written
    rejected = Counter(reject.file for reject in rejects)
    return SeedReport(
        products=Tally(
            read=raw.products.rows,
            accepted=written.created + written.updated + written.unchanged,
            rejected=rejected[PRODUCTS_FILE],
        ),
        photos=Tally(
            read=raw.images.rows, accepted=accepted_photos, rejected=rejected[IMAGES_FILE]
        ),
        categories=_count_categories(feed.listings),
        written=written,
        queued=loader.queued,
        jobs=list(loader.jobs),
        rejects=rejects,
    )


def clean_feed(raw: RawFeed) -> CleanFeed:
    """The rows that can be used, as values, and the rejects of both tables."""
    products = clean_products(raw.products.frame)
    images = clean_images(raw.images.frame, products.frame)
    product_rows: Iterable[Any] = products.frame.itertuples()
    image_rows: Iterable[Any] = images.frame.itertuples()
    listings = [
        ListingData(
            id=row.id,
            title=row.product_name,
            description=row.product_description,
            category=row.category,
            price=row.price and row.price.amount,
            currency=row.price and row.price.currency,
            location=row.location,
        )
        for row in product_rows
    ]
    photos = [
        FeedPhoto(row.Index, row.id, row.product_id, raw.photo_folder / row.file)
        for row in image_rows
    ]
    position = {listing.id: number for number, listing in enumerate(listings)}
    photos.sort(key=lambda photo: position[photo.listing_id])
    return CleanFeed(
        listings,
        photos,
        raw.products.rejects + products.rejects + raw.images.rejects + images.rejects,
    )


def _counted(
    prepared: Iterable[PreparedPhoto], total: int, on_progress: OnProgress
) -> Iterator[PreparedPhoto]:
    for done, photo in enumerate(prepared, start=1):
        on_progress(Stage.PHOTOS, done, total)
        yield photo


def _transactions(
    feed: CleanFeed, prepared: Iterator[PreparedPhoto]
) -> Iterator[tuple[list[ListingData], list[PreparedPhoto]]]:
    """Listings for one transaction each, with their photos: decoded before it begins."""
    photos_of = Counter(photo.listing_id for photo in feed.photos)
    for listings in chunks(feed.listings, LISTINGS_PER_TRANSACTION):
        count = sum(photos_of[listing.id] for listing in listings)
        yield listings, list(islice(prepared, count))


def _sorted_out(
    photos: Iterable[PreparedPhoto],
) -> tuple[dict[UUID, list[PhotoData]], list[Reject]]:
    """Usable photos by listing, and rejects for the others."""
    usable: dict[UUID, list[PhotoData]] = {}
    rejects: list[Reject] = []
    for photo in photos:
        source = photo.source
        if photo.data is None:
            rejects.append(Reject(IMAGES_FILE, source.row, str(source.id), "photo", photo.reason))
        else:
            usable.setdefault(source.listing_id, []).append(photo.data)
    return usable, rejects


def _count_categories(listings: Iterable[ListingData]) -> CategoryCount:
    paths = {listing.category for listing in listings if listing.category}
    return CategoryCount(
        root=len({path.split(CATEGORY_SEPARATOR)[0] for path in paths}),
        sub=sum(CATEGORY_SEPARATOR in path for path in paths),
    )
