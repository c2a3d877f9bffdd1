"""How a feed's tables were understood: for a person to check before anything is stored."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

import pandas as pd

from etl.clean.delimiters import DELIMITERS
from etl.clean.feed import RawFeed
from etl.clean.feed_tables import Table
from etl.clean.not_stated import is_stated
from etl.clean.transform import Rules, clean_products
from etl.clean.uuids import SAMPLE, Ids
from etl.tables.dialects import Field
from etl.tables.photo_references import split_references
from etl.tables.row_source import VALUES
from etl.tables.shop_table import ShopTable
from models.domain.text import clean_line

EXAMPLES: Final = 3
MAX_EXAMPLE: Final = 60


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """A column: what it states, values of it as they are stored, and what is to be known.

    Without a `field` it is not used, its `examples` are as they are written, and `advice` says what
    to do about it.
    """

    column: str
    field: str | None
    examples: Sequence[str]
    advice: str = ""


@dataclass(frozen=True, slots=True)
class TableReading:
    """A table: what was found out about it, by name, and its columns in their order."""

    file: str
    details: Mapping[str, str]
    columns: Sequence[ColumnReading]


def read_tables(feed: RawFeed) -> list[TableReading]:
    """How the tables of this feed are understood, by their first rows. Raises InvalidFeed."""
    if isinstance(feed.products, ShopTable):
        return [_shop_reading(feed.products, feed.rules)]
    readings = [_reading(feed.products, _details(feed.rules), feed.rules)]
    if feed.images:
        ids = {"ids": _kind_of(feed.image_ids)}
        readings.append(_reading(feed.images, ids, None))
    return readings


def _reading(table: Table, details: Mapping[str, str], rules: Rules | None) -> TableReading:
    chunk = next(iter(table.chunks(SAMPLE)), None)
    stored = _stored(chunk.frame, rules) if chunk and rules else {}
    fields = {position: name for name, position in table.positions.items()}
    columns = []
    for position, column in enumerate(table.header):
        name = fields.get(position)
        if name is not None:
            column_of = chunk.frame[name] if chunk else pd.Series(dtype=object)
            cells = zip(column_of.index.tolist(), column_of.tolist(), strict=True)
            shown = stored.get(name)
            texts = (shown(row) if shown else cell for row, cell in cells if is_stated(cell))
            columns.append(ColumnReading(column, name, _examples(texts)))
        elif attribute := _attribute(table.attributes.positions, position):
            columns.append(ColumnReading(column, attribute, ()))
        elif column:
            meant = table.meant().get(column)
            advice = f"call it {meant} if it is meant so" if meant else "it is left out"
            columns.append(ColumnReading(column, None, (), f"is not known: {advice}"))
    found = {"delimiter": DELIMITERS[table.layout.delimiter], "encoding": table.encoding}
    return TableReading(table.spec.name, {"kind": "text", **found, **details}, columns)


def _attribute(positions: Mapping[int, str], position: int) -> str | None:
    """What a column states that is an attribute, or several; None for any other."""
    return f"attribute {positions[position]}".strip() if position in positions else None


def _shop_reading(table: ShopTable, rules: Rules) -> TableReading:
    chunk = next(iter(table.chunks(SAMPLE)), None)
    stored = _stored(chunk.frame, rules) if chunk else {}
    rows = list(islice(table.source.rows(), SAMPLE))
    width = len(table.source.columns)
    whole = [row for row in rows if len(row.fields) == width and not row.fault]
    unused = {one.column: one.advice for one in table.unused()}
    columns = []
    for position, column in enumerate(table.source.columns):
        cells = [(row.number, row.fields[position]) for row in whole]
        stated = [(row, cell) for row, cell in cells if is_stated(cell)]
        field = next((name for name, at in table.fields.items() if position in at), None)
        if field is None:
            if column.strip():
                texts = (cell.replace(VALUES, ", ") for _, cell in stated)
                attribute = _attribute(table.attributes.positions, position)
                advice = unused.get(column, "")
                columns.append(ColumnReading(column, attribute, _examples(texts), advice))
            continue
        first = table.source.columns[table.fields[field][0]]
        is_first = position == table.fields[field][0] or field in _ALL_COUNT
        advice = "" if is_first else f"counts where {first} states nothing"
        columns.append(
            ColumnReading(column, field, _examples(_shown(field, stated, stored)), advice)
        )
    details = {"kind": table.source.kind, "dialect": table.dialect.name, **table.source.details}
    return TableReading(table.name, {**details, **_details(rules)}, columns)


def _shown(
    field: Field,
    cells: Iterable[tuple[int, str]],
    stored: Mapping[str, Callable[[int], str]],
) -> Iterator[str]:
    """The cells as they are stored; those that only decide about others, as they are written."""
    column = _COLUMNS.get(field)
    for row, cell in cells:
        if field is Field.PHOTOS:
            yield from split_references(cell)
        elif column is None or column not in stored:
            yield cell.replace(VALUES, ", ")
        else:
            yield stored[column](row)


# Of several such columns each counts, not only the first that is stated.
_ALL_COUNT: Final = frozenset({Field.PHOTOS, Field.PUBLISHED, Field.SALE_DATES})
_STATUS: Final = "status"
_COLUMNS: Final[Mapping[Field, str]] = {
    Field.ID: "id",
    Field.TITLE: "product_name",
    Field.DESCRIPTION: "product_description",
    Field.CATEGORY: "category",
    Field.PRICE: "price",
    Field.SALE_PRICE: "price",
    Field.CURRENCY: "price",
    Field.LOCATION: "location",
    Field.LATITUDE: "latitude",
    Field.LONGITUDE: "longitude",
    Field.SELLER: "seller",
    Field.AVAILABILITY: _STATUS,
    Field.STOCK: _STATUS,
    Field.PUBLISHED: _STATUS,
}


def _stored(raw: pd.DataFrame, rules: Rules) -> dict[str, Callable[[int], str]]:
    """By column of the raw table: the value of a row as it is stored, or nothing."""
    frame = clean_products(raw, rules).frame
    names = {
        "id": "external_id" if rules.ids.feed is not None else "id",
        "product_name": "title",
        "product_description": "description",
    }

    def value(column: str, row: int) -> str:
        if row not in frame.index:
            return ""
        # NaN stands for degrees that are not stated.
        stated = str(frame[column][row])
        return "" if stated in {"None", "nan"} else stated

    def price(row: int) -> str:
        return f"{value('price', row)} {value('currency', row)}".strip()

    readers: dict[str, Callable[[int], str]] = {"price": price}
    for name in raw.columns:
        column = names.get(name, name)
        if name not in readers and column in frame.columns:
            readers[name] = partial(value, column)
    return readers


def _examples(texts: Iterable[str]) -> list[str]:
    """The first few that differ, each in a short line."""
    found: dict[str, None] = {}
    for text in texts:
        line = clean_line(text)
        if line:
            found[line if len(line) <= MAX_EXAMPLE else f"{line[: MAX_EXAMPLE - 1]}…"] = None
        if len(found) == EXAMPLES:
            break
    return list(found)


def _details(rules: Rules) -> dict[str, str]:
    decimal = {".": "point", ",": "comma", None: "not known: a point or a comma before two digits"}
    return {
        "ids": _kind_of(rules.ids),
        "decimals": decimal[rules.decimal],
        "prices without a currency": rules.home_currency,
    }


def _kind_of(ids: Ids) -> str:
    return "UUIDs" if ids.feed is None else f"the shop's own, mapped by the feed's name {ids.feed}"
