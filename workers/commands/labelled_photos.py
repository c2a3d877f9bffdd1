"""The photos of the catalogue or of a cleaned feed, labelled with their listings' categories."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from command_line.resources import database_of, store_of
from db.catalogue.listings import recent_listings
from db.session import Database
from db.store.photo_store import PhotoStore
from models.cleaned_feed import PHOTO_FOLDER, ListingPhotos, has_tables, read_listing_photos
from models.domain.errors import InvalidFeed, InvalidInput
from models.domain.text import CATEGORY_SEPARATOR
from models.labels import LabelledPhotos, Level, categories_at
from settings import Settings

LISTINGS_PER_BATCH: Final = 1_000


def labelled_photos(folder: Path | None, level: Level, settings: Settings) -> LabelledPhotos:
    """The photos of a cleaned folder or of the database; raises as the function for each does."""
    if folder is not None:
        return labelled_in_folder(folder, level)
    with database_of(settings) as database:
        return labelled_in_database(database, store_of(settings), level)


def labelled_in_database(database: Database, store: PhotoStore, level: Level) -> LabelledPhotos:
    """The photos of all active listings that have a category at this level.

    Raises `InvalidInput` if there are none.
    """
    return _labelled(_listings_in_database(database), level, store.get, "the database")


def is_cleaned_folder(folder: Path) -> bool:
    """Whether `marketlens clean` has written the folder."""
    return has_tables(folder)


def labelled_in_folder(folder: Path, level: Level) -> LabelledPhotos:
    """The photos of all listings in a cleaned folder that have a category at this level.

    Raises `InvalidFeed` if it is no such folder or is damaged, `InvalidInput` if it has no photos.
    """
    if not is_cleaned_folder(folder):
        raise InvalidFeed(f"{folder} is not a cleaned feed: `marketlens clean` makes one.")
    store = PhotoStore(folder / PHOTO_FOLDER)
    return _labelled(read_listing_photos(folder), level, store.get, str(folder))


def _labelled(
    listings: Iterable[ListingPhotos], level: Level, fetch: Callable[[str], bytes], where: str
) -> LabelledPhotos:
    # In order of id, so that it does not matter where the listings were read.
    known = sorted(listings, key=lambda listing: listing.id)
    categories = categories_at(level, [one.category for one in known], CATEGORY_SEPARATOR)
    rows = [
        (digest, listing.id, category)
        for listing, category in zip(known, categories, strict=True)
        if category is not None
        for digest in listing.photos
    ]
    if not rows:
        raise InvalidInput(f"There are no photos of listings with a category in {where}.")
    hashes, ids, paths = zip(*rows, strict=True)
    return LabelledPhotos(hashes, ids, paths, fetch)


def _listings_in_database(database: Database) -> Iterator[ListingPhotos]:
    last = None
    with database.read() as session:
        while views := recent_listings(session, LISTINGS_PER_BATCH, last):
            for view in views:
                yield ListingPhotos(str(view.listing.id), view.category, view.photos)
            last = (views[-1].listing.created_at, views[-1].listing.id)
            session.expunge_all()  # or the session would keep every row
