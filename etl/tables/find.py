"""Where a feed's tables are: the two of the marketplace's own dialect, or a shop's one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etl.clean.feed_tables import IMAGES, PRODUCTS
from etl.fetch.source_url import TABLE_SUFFIXES
from etl.tables.open_source import open_rows
from etl.tables.shop_table import ShopTable
from models.cleaned_feed import has_tables
from models.domain.errors import InvalidFeed

_TEXTS: Final = ("readme", "license", "licence", "changelog", "robots", "notice")


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The folder of a feed that has a table of products and one of images, and their files."""

    folder: Path
    products: Path
    images: Path


@dataclass(frozen=True, slots=True)
class OneTable:
    """The folder of a feed whose products name their photos themselves, and its open table."""

    folder: Path
    table: ShopTable


def find_tables(place: Path) -> TableFiles | OneTable:
    """The tables in this folder, or in this file. Raises InvalidFeed.

    A folder with `Products.csv` and `Images.csv` is of the marketplace's own dialect.
    """
    if place.is_file():
        pair = _pair(place.parent)
        return pair if pair and pair.products.samefile(place) else _one(place)
    if not place.is_dir():
        raise InvalidFeed(f"There is no folder {place}.")
    if pair := _pair(place):
        return pair
    if has_tables(place):
        raise InvalidFeed(
            f"{place} holds a cleaned feed that is not complete: clean it again, or copy all of it."
        )
    files = [path for path in _files(place) if _may_be_table(path)]
    if not files:
        raise InvalidFeed(
            f"{place / PRODUCTS.name} is missing, and no file in {place} is a table "
            f"({', '.join(TABLE_SUFFIXES)})."
        )
    if len(files) == 1:
        return _only(files[0])
    return _chosen(place, files)


def _one(path: Path) -> OneTable:
    return OneTable(path.parent, ShopTable(open_rows(path)))


def _only(path: Path) -> OneTable:
    """The one table of a folder; without its photos it may be half of a pair."""
    try:
        found = _one(path)
    except InvalidFeed:
        if _named(path, IMAGES.name):
            raise InvalidFeed(f"{path.parent / PRODUCTS.name} is missing.") from None
        raise
    if _named(path, PRODUCTS.name) and not found.table.has_photos:
        raise InvalidFeed(f"{path.parent / IMAGES.name} is missing.")
    return found


def _chosen(folder: Path, files: list[Path]) -> OneTable:
    """The only one of these files that is a table of products. Raises InvalidFeed."""
    found: list[OneTable] = []
    for path in files:
        try:
            found.append(_one(path))
        except InvalidFeed:
            continue
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in files[:10])
    if found:
        raise InvalidFeed(f"{folder} has several tables: {names}. Name the one that is meant.")
    raise InvalidFeed(f"None of the files in {folder} is a table of products: {names}.")


def _pair(folder: Path) -> TableFiles | None:
    files = _files(folder)
    products = next((path for path in files if _named(path, PRODUCTS.name)), None)
    images = next((path for path in files if _named(path, IMAGES.name)), None)
    return TableFiles(folder, products, images) if products and images else None


def _named(path: Path, name: str) -> bool:
    return path.name.casefold() == name.casefold()


def _files(folder: Path) -> list[Path]:
    # The exact names first, where a folder has them in several cases. A folder may be called like
    # a table: opening it says so.
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise InvalidFeed(f"{folder} can't be read.") from error
    return sorted(found, key=lambda path: path.name not in {PRODUCTS.name, IMAGES.name})


def _may_be_table(path: Path) -> bool:
    return (
        path.suffix.lower() in TABLE_SUFFIXES
        and not path.name.startswith(".")
        and not path.stem.casefold().startswith(_TEXTS)
        and path.is_file()
    )
