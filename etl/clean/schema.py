"""Schemas of a feed's tables: as text, before cleaning, and as values, after it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd
import pandera.pandas as pa

from etl.clean.currencies import CURRENCIES
from etl.clean.feed_tables import IMAGES, PRODUCTS, SHOP_COLUMNS
from etl.clean.uuids import UUID_TEXT
from models.domain.limits import (
    MAX_CATEGORY_DEPTH,
    MAX_CATEGORY_NAME,
    MAX_CATEGORY_PATH,
    MAX_DESCRIPTION,
    MAX_LOCATION,
    MAX_SELLER,
    MAX_TITLE,
)
from models.domain.text import CATEGORY_SEPARATOR

MAX_PRICE_DIGITS = 12
PRICE_DECIMALS = 2
"""Digits before and after the decimal point that the database holds."""


class Fault(NamedTuple):
    """A row's value that is outside the domain of its column, and what it is instead."""

    row: int
    column: str
    reason: str


def _each(test: Callable[..., bool], reason: str) -> pa.Check:
    """A check of each value by itself; those that are not stated need none."""
    return pa.Check(test, element_wise=True, error=reason)


def _at_most(length: int) -> pa.Check:
    return pa.Check(
        lambda texts: texts.str.len() <= length, error=f"has more than {length:,} characters"
    )


def _together(one: str, other: str) -> pa.Check:
    """A check of rows: both columns are stated or neither. Its faults count as the other's."""
    return pa.Check(
        lambda frame: frame[one].isna() == frame[other].isna(),
        name=other,
        error=f"{one} and {other} go together",
    )


def _value(*checks: pa.Check, nullable: bool = False) -> pa.Column:
    return pa.Column(object, list(checks), nullable=nullable)


def _degrees(limit: int) -> pa.Column:
    return _value(
        _each(lambda degrees: -limit <= degrees <= limit, f"is not between -{limit} and {limit}"),
        nullable=True,
    )


def _has_short_names(path: str) -> bool:
    return all(len(name) <= MAX_CATEGORY_NAME for name in path.split(CATEGORY_SEPARATOR))


def _is_shallow(path: str) -> bool:
    return path.count(CATEGORY_SEPARATOR) < MAX_CATEGORY_DEPTH


def _raw(names: Sequence[str]) -> pa.DataFrameSchema:
    def is_text(cells: pd.Series) -> bool:
        return pd.api.types.infer_dtype(cells, skipna=False) in {"string", "empty"}

    columns = dict.fromkeys(names, pa.Column(object, pa.Check(is_text)))
    return pa.DataFrameSchema(columns, index=_ROW, strict=True)


_BY_ROW = pa.errors.SchemaErrorReason.DATAFRAME_CHECK
_ROW = pa.Index("int64", unique=True, name="row")
# None where an id of the caller's can't be read: then the row has a fault already.
_ID = _value(
    _each(lambda text: UUID_TEXT.fullmatch(text) is not None, "is not a UUID"), nullable=True
)

RAW_PRODUCTS = _raw(PRODUCTS.frame_columns)
RAW_SHOP_PRODUCTS = _raw(SHOP_COLUMNS)
RAW_IMAGES = _raw(IMAGES.columns)
"""Tables as they are read."""

CLEAN_PRODUCTS = pa.DataFrameSchema(
    {
        "id": _ID,
        "title": _value(_each(bool, "is empty"), _at_most(MAX_TITLE)),
        "description": _value(_at_most(MAX_DESCRIPTION)),
        "category": _value(
            _each(_has_short_names, f"has a name of more than {MAX_CATEGORY_NAME} characters"),
            _each(_is_shallow, f"has more than {MAX_CATEGORY_DEPTH} levels"),
            _at_most(MAX_CATEGORY_PATH),
            nullable=True,
        ),
        "price": _value(
            _each(lambda amount: amount >= 0, "is negative"),
            _each(
                lambda amount: amount < 10**MAX_PRICE_DIGITS,
                f"has more than {MAX_PRICE_DIGITS} digits before the decimal point",
            ),
            _each(
                lambda amount: amount.as_tuple().exponent >= -PRICE_DECIMALS,
                f"has more than {PRICE_DECIMALS} decimals",
            ),
            nullable=True,
        ),
        "currency": _value(_each(CURRENCIES.__contains__, "is unknown"), nullable=True),
        "price_suspect": pa.Column(bool),
        "location": _value(_at_most(MAX_LOCATION), nullable=True),
        "place": _value(nullable=True),
        "county": _value(nullable=True),
        "latitude": _degrees(90),
        "longitude": _degrees(180),
        "seller": _value(_at_most(MAX_SELLER), nullable=True),
        "attributes": _value(nullable=True),
    },
    checks=[_together("price", "currency"), _together("latitude", "longitude")],
    index=_ROW,
    strict=True,
)
CLEAN_SHOP_PRODUCTS = CLEAN_PRODUCTS.add_columns(
    {"external_id": _value(nullable=True), "status": _value()}
)
CLEAN_IMAGES = pa.DataFrameSchema(
    {"id": _ID, "product_id": _ID, "file": _value(nullable=True)}, index=_ROW, strict=True
)
"""Tables of values. What may be None is nullable. A shop's products have the caller's id, too."""


def find_faults(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> list[Fault]:
    """The values that are outside their domain, in no order of rows.

    Raises pandera's SchemaErrors when the frame as a whole is not of the schema.
    """
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        if any(problem.reason_code is not _BY_ROW for problem in error.schema_errors):
            raise
        return [
            Fault(row, problem.column_name or problem.check.name, problem.check.error)
            for problem in error.schema_errors
            for row in problem.failure_cases["index"].unique().tolist()
        ]
    return []
