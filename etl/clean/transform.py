"""Clean a feed's tables: from frames of text to frames of values, and the rows refused on the way.

Pure: no file, no database. Frames stay indexed by row number. Each column is parsed from text to
values; which values it may have, the schema declares.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TypeAlias

import numpy as np
import pandas as pd
import pandera.pandas as pa

from etl.clean.currencies import CURRENCIES, HOME_CURRENCY
from etl.clean.feed_tables import ATTRIBUTES, IMAGES, PAIRED, PRODUCTS
from etl.clean.not_stated import is_stated
from etl.clean.prices import DecimalSeparator, Price, parse_price
from etl.clean.rejects import Consequence, Reject, shorten
from etl.clean.schema import (
    CLEAN_IMAGES,
    CLEAN_PRODUCTS,
    CLEAN_SHOP_PRODUCTS,
    MAX_PRICE_DIGITS,
    RAW_IMAGES,
    RAW_PRODUCTS,
    RAW_SHOP_PRODUCTS,
    Fault,
    find_faults,
)
from etl.clean.titles import clean_title
from etl.clean.uuids import AS_THEY_ARE, Ids
from etl.tables.attributes import Kinds, attributes_in
from etl.tables.html_text import html_to_text
from etl.tables.photo_references import PHOTO_ENDS, as_path
from models.domain.limits import is_placeholder_price, split_location
from models.domain.text import clean_category, clean_line, clean_text
from models.domain.types import ListingStatus

_DEGREES = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?", re.IGNORECASE)
_ACTIVE = ListingStatus.ACTIVE.value
# Without them a listing is still one.
_LEFT_OUT = frozenset({"price", "currency", "price_suspect", "attributes"})

Parser: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The usable rows, the rejected ones, and values that usable ones are without."""

    frame: pd.DataFrame
    rejects: list[Reject]
    left_out: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rules:
    """How the texts of a table are to be read.

    `file` is what its rejects call it. `decimal` is what its prices have before the pence, where
    that is known, `home_currency` what those without a symbol are in. Descriptions may be `html`;
    a `shop`'s table also states the status, and its ids may be the caller's own. `attributes` are
    the kinds of the feed's; None where no column was chosen.
    """

    file: str = PRODUCTS.name
    ids: Ids = AS_THEY_ARE
    decimal: DecimalSeparator | None = None
    home_currency: str = HOME_CURRENCY
    shop: bool = False
    attributes: Kinds | None = None

    @property
    def extended(self) -> bool:
        """Whether products have the columns that only shops' have."""
        return self.shop or self.ids.feed is not None


def clean_products(raw: pd.DataFrame, rules: Rules = Rules()) -> Cleaned:
    """Products with values in their columns, as `CLEAN_PRODUCTS` declares them.

    `id` the text of a UUID in lower case; `title` and `description` str; `category` a path or None;
    `price` Decimal and `currency` its ISO 4217 code, or both None; `price_suspect` bool, whether
    that is a placeholder; `location`, its `place` and its `county` str or None; `latitude` and
    `longitude` float, in degrees, or both None; `seller` str or None; `attributes` a JSON
    object, or None where nothing is known of them. By rules that are `extended` also `external_id`,
    the caller's id or None, and `status`, a `ListingStatus`. A price that can't be read, and
    attributes that can't be stored, are left out.
    """
    (RAW_SHOP_PRODUCTS if rules.shop else RAW_PRODUCTS).validate(raw)
    schema = CLEAN_SHOP_PRODUCTS if rules.extended else CLEAN_PRODUCTS
    return _clean(raw, product_columns(rules), schema, rules.file)


def clean_images(raw: pd.DataFrame, ids: Ids = AS_THEY_ARE, products: Ids = AS_THEY_ARE) -> Cleaned:
    """Images: `id` and `product_id` the text of a UUID in lower case, `file` the photo's file name.

    The file is named by the id as it is spelled. `ids` are those of images.
    """
    RAW_IMAGES.validate(raw)
    columns: Mapping[str, tuple[str, Parser]] = {
        "id": ("id", ids),
        "product_id": ("product_id", products),
        "file": ("id", partial(_photo_file, ids)),
    }
    return _clean(raw, columns, CLEAN_IMAGES, IMAGES.name)


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
    line = clean_line(text)
    return _stated(clean_category(line)) if is_stated(line) else None


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
    return text if is_stated(text) else None


def _title(text: str) -> str:
    return _stated(clean_title(text)) or ""


def _description(text: str) -> str:
    return _stated(clean_text(text)) or ""


def _html_description(text: str) -> str:
    return _description(html_to_text(text))


def _price(rules: Rules, text: str) -> Price | None:
    """The price in a cell, with the currency that another column states."""
    stated, _, currency = text.partition(PAIRED)
    home = rules.home_currency
    if currency and is_stated(currency):
        home = clean_line(currency).upper()
        if home not in CURRENCIES:
            raise ValueError("is in an unknown currency")
    line = clean_line(stated)
    if not is_stated(line):
        return None
    price = parse_price(line, decimal=rules.decimal, home_currency=home)
    if price is None:
        return None
    if price.amount < 0:
        raise ValueError("is negative")
    if price.amount >= 10**MAX_PRICE_DIGITS:
        raise ValueError(f"has more than {MAX_PRICE_DIGITS} digits before the decimal point")
    return price


def _attributes(kinds: Kinds | None, cell: str) -> str | None:
    return None if kinds is None else json.dumps(attributes_in(kinds, cell), ensure_ascii=False)


def _photo_file(ids: Ids, text: str) -> str:
    if ids.feed is None:
        return f"{text.strip()}.jpg"
    name = as_path(clean_line(text))
    return name if name.lower().endswith(PHOTO_ENDS) else f"{name}.jpg"


def product_columns(rules: Rules) -> Mapping[str, tuple[str, Parser]]:
    """From which column of the table each of a product's is made, and how.

    In the order in which faults count.
    """
    price = cache(partial(_price, rules))

    def suspect(text: str) -> bool:
        found = price(text)
        return found is not None and is_placeholder_price(found.amount)

    columns: dict[str, tuple[str, Parser]] = {
        "id": ("id", rules.ids),
        "title": ("product_name", _title),
        "description": ("product_description", _html_description if rules.shop else _description),
        "category": ("category", parse_category),
        "price": ("price", lambda text: (found := price(text)) and found.amount),
        "currency": ("price", lambda text: (found := price(text)) and found.currency),
        "price_suspect": ("price", suspect),
        "location": ("location", parse_name),
        "place": ("location", lambda text: split_location(parse_name(text))[0]),
        "county": ("location", lambda text: split_location(parse_name(text))[1]),
        "latitude": ("latitude", parse_degrees),
        "longitude": ("longitude", parse_degrees),
        "seller": ("seller", parse_name),
        "attributes": (ATTRIBUTES, partial(_attributes, rules.attributes)),
    }
    if rules.extended:
        columns["external_id"] = ("id", rules.ids.external)
        columns["status"] = ("status", str) if rules.shop else ("id", lambda _: _ACTIVE)
    return columns


def _clean(
    raw: pd.DataFrame,
    columns: Mapping[str, tuple[str, Parser]],
    schema: pa.DataFrameSchema,
    file: str,
) -> Cleaned:
    """Make each column of values; a row is rejected once, for the first of its faults.

    A row whose only fault is its price, or its attributes, is left without.
    """
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
    left_out: dict[int, Reject] = {}
    for row, column, reason in faults:
        reject = Reject(file, row, shorten(str(raw.loc[row, "id"])), columns[column][0], reason)
        if column in _LEFT_OUT:
            left_out.setdefault(row, replace(reject, consequence=Consequence.LEFT_OUT))
        else:
            rejects.setdefault(row, reject)
    kept = frame.drop(index=list(rejects))
    return Cleaned(
        kept,
        list(rejects.values()),
        [reject for row, reject in left_out.items() if row not in rejects],
    )


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
    gone = cleaned.frame[refused]
    named = gone["external_id"].fillna(gone["id"]) if "external_id" in gone else gone["id"]
    rejects = [
        Reject(file, row, row_id, field, reason)
        for row, row_id in zip(named.index.tolist(), named.tolist(), strict=True)
    ]
    rows = set(gone.index)
    return Cleaned(
        cleaned.frame[~refused],
        cleaned.rejects + rejects,
        [reject for reject in cleaned.left_out if reject.row not in rows],
    )
