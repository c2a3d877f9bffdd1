"""Where the photos of a feed are: files of its folder, or URLs."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from etl.clean.feed import RawFeed
from etl.clean.staging import StagedPhoto
from etl.photos.prepare import FeedPhoto
from etl.tables.photo_references import is_url

# Beside a shop's table, or in a shop's own folder for photos, to which its table's paths lead.
FOLDERS: Final = (
    *("images", "Images", "photos", "media", "pub/media/catalog/product", "pub/media/import"),
    *("media/catalog/product", "wp-content/uploads"),
)


def feed_photos(photos: Iterable[StagedPhoto], feed: RawFeed) -> Iterator[FeedPhoto]:
    """The photos with their files or URLs. Files are not looked at, but for their folders."""
    path_of = _in_folder(feed.photo_folder) if feed.images else _beside(feed.photo_folder)
    # A UUID names its photo by itself.
    is_named = feed.images is None or feed.image_ids.feed is not None
    for photo in photos:
        at_url = feed.images is None and is_url(photo.file)
        yield FeedPhoto(
            *(photo.row, photo.id, photo.product_id),
            path=feed.photo_folder if at_url else path_of(photo.file),
            url=photo.file if at_url else None,
            name=photo.file if is_named else "",
        )


def _in_folder(folder: Path) -> Callable[[str], Path]:
    return folder.joinpath


def _beside(folder: Path) -> Callable[[str], Path]:
    """A function from a path in a table to the file: in the table's folder or one below it."""
    folders = [folder / name for name in FOLDERS if (folder / name).is_dir()]
    is_folder = lru_cache(Path.is_dir)

    def path_of(reference: str) -> Path:
        own = folder / reference
        candidates = [own, *(below / reference for below in folders)]
        there = [path for path in candidates if is_folder(path.parent)]
        if len(there) <= 1:
            return there[0] if there else own
        return next((path for path in there if path.is_file()), there[-1])

    return path_of
