"""The whole intake: from a source to a sink. Running it again resumes an interrupted one."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeVar

from db.catalogue.categories import with_parents
from db.catalogue.listings import ListingData
from db.catalogue.places import Coordinates
from etl.clean.rejects import Reject, Rejects, Tally, shorten
from etl.load.sink import Sink
from etl.load.sources import IntakeContext, Source, open_source
from etl.photos.prepare import PreparedPhoto
from etl.report import CategoryCount, IntakeReport
from models.domain.errors import InvalidFeed
from models.domain.text import CATEGORY_SEPARATOR

# A batch ends with whichever is reached first. Few photos, as they take most of the time: the first
# are embedded while the last are still being cleaned.
LISTINGS_PER_BATCH = 2_000
PHOTOS_PER_BATCH = 256

Item = TypeVar("Item")


class Stage(StrEnum):
    """A stage of the intake, for progress: `tables` counts bytes, the others rows."""

    TABLES = "tables"
    PHOTOS = "photos"
    LISTINGS = "listings"


OnProgress = Callable[[Stage, int, int], None]
"""Called with a stage, how much of it is done, and how much there is to do."""

Locate = Callable[[Collection[str]], Mapping[str, Coordinates | None]]
"""Coordinates of places by name; None where they are not known."""


def run_intake(
    folder: Path, sink: Sink, context: IntakeContext, *, locate: Locate, on_progress: OnProgress
) -> IntakeReport:
    """Load the feed in this folder or file, raw or cleaned, into the sink.

    Raises InvalidFeed when a table can't be read, before anything is loaded. A row or a photo that
    can't be used is rejected by itself. The batches of a killed run remain; the next run resumes.
    """
    photos_accepted = photos_incomplete = unseen = 0
    categories: set[str] = set()
    with (
        Rejects(context.rejects) as rejects,
        open_source(folder, context, rejects, partial(on_progress, Stage.TABLES)) as source,
    ):
        # Without a photo folder, photos are unknown and not gone: it may not have been copied.
        sink.start(source.images if source.has_photos else None)
        for listings, photos in _batches(source, on_progress):
            refused = [_reject(source.photo_file, photo) for photo in photos if photo.is_refused]
            unseen += sum(photo.data is None for photo in photos) - len(refused)
            rejects.add(refused)
            sink.load(_located(listings, locate), photos if source.has_photos else None)
            photos_accepted += len(photos) - len(refused)
            photos_incomplete += sum(photo.data.incomplete for photo in photos if photo.data)
            categories.update(with_parents(item.category for item in listings if item.category))
        # Before the sink's end: a complete cleaned folder has its rejects.
        rejects.finish()
        sink.end(source.is_listed)
    if unseen:
        source.notes.append(
            f"{unseen:,} photos at URLs were not looked at: a dry run fetches none."
        )
    return IntakeReport(
        products=Tally(source.rows.products, source.products, rejects.count(source.product_file)),
        photos=Tally(source.rows.images, photos_accepted, rejects.count(source.photo_file)),
        incomplete_photos=photos_incomplete,
        categories=_count(categories),
        reasons=rejects.reasons,
        notes=source.notes,
        left_out=rejects.left_out,
        not_offered=rejects.not_offered,
        readings=source.readings,
    )


def _batches(
    source: Source, on_progress: OnProgress
) -> Iterator[tuple[list[ListingData], list[PreparedPhoto]]]:
    """Listings with their photos; both come in the same order."""
    prepared = _counted(source.photos, Stage.PHOTOS, source.images, on_progress)
    batch: list[ListingData] = []
    photos: list[PreparedPhoto] = []
    usable = 0
    coming = next(prepared, None)
    for listing in _counted(source.listings, Stage.LISTINGS, source.products, on_progress):
        batch.append(listing)
        while coming is not None and coming.source.listing_id == str(listing.id):
            photos.append(coming)
            usable += coming.data is not None
            coming = next(prepared, None)
        if len(batch) >= LISTINGS_PER_BATCH or usable >= PHOTOS_PER_BATCH:
            yield batch, photos
            batch, photos, usable = [], [], 0
    if batch:
        yield batch, photos
    if coming is not None:
        # Happens only in a cleaned folder that was put together from two.
        raise InvalidFeed("There are photos of products that are not there.")


def _counted(
    items: Iterable[Item], stage: Stage, total: int, on_progress: OnProgress
) -> Iterator[Item]:
    for done, item in enumerate(items, start=1):
        on_progress(stage, done, total)
        yield item


def _located(listings: Sequence[ListingData], locate: Locate) -> list[ListingData]:
    """The listings, with coordinates of their places where the feed has none."""
    names = {item.location for item in listings if item.location and item.latitude is None}
    known = locate(names)
    return [
        replace(item, latitude=found.latitude, longitude=found.longitude)
        if item.latitude is None and (found := known.get(item.location or ""))
        else item
        for item in listings
    ]


def _reject(file: str, photo: PreparedPhoto) -> Reject:
    source = photo.source
    return Reject(file, source.row, shorten(source.name or source.id), "photo", photo.reason)


def _count(categories: Iterable[str]) -> CategoryCount:
    depths = [path.count(CATEGORY_SEPARATOR) for path in categories]
    return CategoryCount(root=depths.count(0), sub=len(depths) - depths.count(0))
