"""Clean a feed's tables: from frames of text to frames of values, and the rows refused on the way.

Pure: no file, no database. Frames stay indexed by row number.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pandas as pd

from db.listings import CATEGORY_SEPARATOR
from etl.extract import IMAGES_FILE, PRODUCTS_FILE
from etl.prices import parse_price
from etl.rejects import Reject, shorten
from etl.text import clean_line, clean_text, clean_title

MAX_CATEGORY_NAME = 200
MAX_CATEGORY_PATH = 1_000

# UUID() itself also takes braces, URNs and hyphens anywhere, and the name of a photo's file is its
# id: this is what keeps that name inside the photo folder.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# A slash parts names only beside a space: `TV/DVD` is one name.
_CATEGORY_SLASH = re.compile(r"(?:^|\s+)/\s*|\s*/(?:\s+|$)")
_NOT_STATED = frozenset({"", "n/a"})

Parser = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The rows that can be used, and those that can't."""

    frame: pd.DataFrame
    rejects: list[Reject]


def clean_products(raw: pd.DataFrame) -> Cleaned:
    """Products with values in their columns.

    `id` UUID, `product_name` str, `category` str or None, `product_description` str, `price`
    Price or None, `location` str or None. Of several rows with one id the first usable one stays.
    """
    return _without_repeats(_parse(raw, _PRODUCT_PARSERS, PRODUCTS_FILE), PRODUCTS_FILE)


def clean_images(raw: pd.DataFrame, products: pd.DataFrame) -> Cleaned:
    """Images of cleaned products: `id` and `product_id` UUID, `file` the name of the photo's file.

    Of several rows with one id the first usable one stays.
    """
    parsed = _parse(raw, _IMAGE_PARSERS, IMAGES_FILE)
    images = parsed.frame.assign(file=raw["id"].loc[parsed.frame.index].str.strip() + ".jpg")
    orphan = ~images["product_id"].isin(set(products["id"]))
    rejects = _reject(
        images.loc[orphan, "id"], IMAGES_FILE, "product_id", "is not the id of a usable product"
    )
    return _without_repeats(Cleaned(images[~orphan], parsed.rejects + rejects), IMAGES_FILE)


def parse_id(text: str) -> UUID:
    """A UUID in its usual spelling. Raises ValueError."""
    stated = text.strip()
    if not _UUID.fullmatch(stated):
        raise ValueError("is not a UUID")
    return UUID(stated)


def parse_title(text: str) -> str:
    """A listing's title. Raises ValueError when nothing is left of it."""
    title = clean_title(text)
    if not title:
        raise ValueError("is empty")
    return title


def parse_category(text: str) -> str | None:
    """A category's path, as `Root / Sub`; None when none is stated. Raises ValueError."""
    stated = clean_line(text)
    if stated.casefold() in _NOT_STATED:
        return None
    names = [name for name in _CATEGORY_SLASH.split(stated) if name]
    path = CATEGORY_SEPARATOR.join(names)
    if len(path) > MAX_CATEGORY_PATH or any(len(name) > MAX_CATEGORY_NAME for name in names):
        raise ValueError(f"has a name of more than {MAX_CATEGORY_NAME} characters, or too many")
    return path or None


def parse_location(text: str) -> str | None:
    """A place; None when none is stated."""
    stated = clean_line(text)
    return None if stated.casefold() in _NOT_STATED else stated


_PRODUCT_PARSERS: Mapping[str, Parser] = {
    "id": parse_id,
    "product_name": parse_title,
    "category": parse_category,
    "product_description": clean_text,
    "price": lambda text: parse_price(clean_line(text)),
    "location": parse_location,
}
_IMAGE_PARSERS: Mapping[str, Parser] = {"id": parse_id, "product_id": parse_id}


def _parse(raw: pd.DataFrame, parsers: Mapping[str, Parser], file: str) -> Cleaned:
    """Parse every cell; a row is rejected for the first of its fields that can't be parsed."""
    values: dict[str, pd.Series] = {}
    rejects: dict[int, Reject] = {}
    for field, parser in parsers.items():
        parsed: list[object] = []
        for row, raw_id, text in zip(raw.index, raw["id"], raw[field], strict=True):
            try:
                parsed.append(parser(text))
            except ValueError as error:
                parsed.append(None)
                rejects.setdefault(row, Reject(file, row, shorten(raw_id), field, str(error)))
        # As objects: pandas would turn None into NaN in columns it takes for text or numbers.
        values[field] = pd.Series(parsed, index=raw.index, dtype=object)
    frame = pd.DataFrame(values, index=raw.index)
    return Cleaned(frame.drop(index=list(rejects)), [rejects[row] for row in sorted(rejects)])


def _without_repeats(cleaned: Cleaned, file: str) -> Cleaned:
    ids = cleaned.frame["id"]
    repeated = ids.duplicated()
    rejects = _reject(ids[repeated], file, "id", "repeats the id of an earlier row")
    return Cleaned(cleaned.frame[~repeated], cleaned.rejects + rejects)


def _reject(ids: pd.Series, file: str, field: str, reason: str) -> list[Reject]:
    rows: Iterable[tuple[Any, UUID]] = ids.items()
    return [Reject(file, row, str(row_id), field, reason) for row, row_id in rows]
