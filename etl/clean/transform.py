"""Clean a feed's tables: from frames of text to frames of values, and the rows refused on the way.

Pure: no file, no database. Frames stay indexed by row number. Each column is parsed from text to
values; which values it may have, the schema declares.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import pandas as pd
import pandera.pandas as pa

from etl.clean.feed_tables import IMAGES, PRODUCTS
from etl.clean.prices import parse_price
from etl.clean.rejects import Reject, shorten
from etl.clean.schema import (
    CLEAN_IMAGES,
    CLEAN_PRODUCTS,
    RAW_IMAGES,
    RAW_PRODUCTS,
    Fault,
    find_faults,
)
from etl.clean.titles import clean_title
from etl.clean.uuids import canonical_id
from models.domain.limits import is_placeholder_price, split_location
from models.domain.text import clean_category, clean_line, clean_text

_DEGREES = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?", re.IGNORECASE)
_NOT_STATED = frozenset({"", "n/a"})

Parser: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The usable rows, and the rejected ones."""

    frame: pd.DataFrame
    rejects: list[Reject]


def clean_products(raw: pd.DataFrame) -> Cleaned:
    """Products with values in their columns, as `CLEAN_PRODUCTS` declares them.

    `id` the text of a UUID in lower case; `title` and `description` str; `category` a path or None;
    `price` Decimal and `currency` its ISO 4217 code, or both None; `price_suspect` bool, whether
    that is a placeholder; `location`, its `place` and its `county` str or None; `latitude` and
    `longitude` float, in degrees, or both None; `seller` str or None.
    """
    RAW_PRODUCTS.validate(raw)
    return _clean(raw, _PRODUCT_COLUMNS, CLEAN_PRODUCTS, PRODUCTS.name)


def clean_images(raw: pd.DataFrame) -> Cleaned:
    """Images: `id` and `product_id` the text of a UUID in lower case, `file` the photo's file name.

    The file is named by the id as it is spelled.
    """
    RAW_IMAGES.validate(raw)
    return _clean(raw, _IMAGE_COLUMNS, CLEAN_IMAGES, IMAGES.name)


def without_repeats(cleaned: Cleaned, known: Collection[str], file: str) -> Cleaned:
    """Only the first row of each id, and none of the `known` ids, which earlier rows have."""
    ids = cleaned.frame["id"]
    repeated = ids.duplicated() | ids.map(known.__contains__).astype(bool)
    return _without(cleaned, repeated, file, "id", "repeats the id of an earlier row")


def without_orphans(images: Cleaned, products: Collection[str]) -> Cleaned:
    """Only images of these products."""
    orphan = ~images.frame["product_id"].map(products.__contains__).astype(bool)
    reason = "is not the id of a usable product"
    return _without(images, orphan, IMAGES.name, "product_id", reason)


def parse_category(text: str) -> str | None:
    """A category's path, as `Root / Sub`; None when none is stated."""
    return _stated(clean_category(text))


def parse_name(text: str) -> str | None:
    """A place or a seller; None when none is stated."""
    return _stated(clean_line(text))


def parse_degrees(text: str) -> float | None:
    """A latitude or longitude; None when none is stated. Raises ValueError."""
    stated = _stated(clean_line(text))
    if stated is None:
        return None
    if not _DEGREES.fullmatch(stated):
        raise ValueError("is not a number of degrees")
    return float(stated)


def _stated(text: str) -> str | None:
    return None if text.casefold() in _NOT_STATED else text


def _amount(text: str) -> Decimal | None:
    price = parse_price(clean_line(text))
    return price and price.amount


def _currency(text: str) -> str | None:
    price = parse_price(clean_line(text))
    return price and price.currency


def _is_suspect(text: str) -> bool:
    amount = _amount(text)
    return amount is not None and is_placeholder_price(amount)


# The columns of clean tables, in the order in which faults count: from which column of the feed
# each is made, and how.
_PRODUCT_COLUMNS: Mapping[str, tuple[str, Parser]] = {
    "id": ("id", canonical_id),
    "title": ("product_name", clean_title),
    "description": ("product_description", clean_text),
    "category": ("category", parse_category),
    "price": ("price", _amount),
    "currency": ("price", _currency),
    "price_suspect": ("price", _is_suspect),
    "location": ("location", parse_name),
    "place": ("location", lambda text: split_location(parse_name(text))[0]),
    "county": ("location", lambda text: split_location(parse_name(text))[1]),
    "latitude": ("latitude", parse_degrees),
    "longitude": ("longitude", parse_degrees),
    "seller": ("seller", parse_name),
}
_IMAGE_COLUMNS: Mapping[str, tuple[str, Parser]] = {
    "id": ("id", canonical_id),
    "product_id": ("product_id", canonical_id),
    "file": ("id", lambda text: f"{text.strip()}.jpg"),
}


def _clean(
    raw: pd.DataFrame,
    columns: Mapping[str, tuple[str, Parser]],
    schema: pa.DataFrameSchema,
    file: str,
) -> Cleaned:
    """Make each column of values; a row is rejected once, for the first of its faults."""
    faults: list[Fault] = []
    frame = pd.DataFrame(
        {
            column: _parse(raw[field], parser, column, faults)
            for column, (field, parser) in columns.items()
        }
    ).astype({name: str(dtype) for name, dtype in schema.dtypes.items()})
    faults += find_faults(frame, schema)
    order = list(columns)
    faults.sort(key=lambda fault: (fault.row, order.index(fault.column)))
    rejects: dict[int, Reject] = {}
    for row, column, reason in faults:
        row_id = shorten(str(raw.loc[row, "id"]))
        rejects.setdefault(row, Reject(file, row, row_id, columns[column][0], reason))
    return Cleaned(frame.drop(index=list(rejects)), list(rejects.values()))


def _parse(texts: pd.Series, parser: Parser, column: str, faults: list[Fault]) -> pd.Series:
    """Parse each distinct text once; one that can't be parsed becomes None and adds to `faults`."""
    codes, distinct = pd.factorize(texts)
    values = np.full(len(distinct), None, dtype=object)
    reasons: dict[int, str] = {}
    for code, text in enumerate(distinct):
        try:
            values[code] = parser(text)
        except ValueError as error:
            reasons[code] = str(error)
    if reasons:
        faults += [
            Fault(row, column, reasons[code])
            for row, code in zip(texts.index, codes.tolist(), strict=True)
            if code in reasons
        ]
    return pd.Series(values[codes], index=texts.index, dtype=object)


def _without(cleaned: Cleaned, refused: pd.Series, file: str, field: str, reason: str) -> Cleaned:
    ids = cleaned.frame.loc[refused, "id"]
    rejects = [
        Reject(file, row, row_id, field, reason)
        for row, row_id in zip(ids.index.tolist(), ids.tolist(), strict=True)
    ]
    return Cleaned(cleaned.frame[~refused], cleaned.rejects + rejects)
