"""Which columns of a feed become attributes of its listings, and as values of which kind.

A row's attributes go from the table to the cleaning as one cell, a JSON object of texts and lists
of texts by name.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from etl.clean.column_names import folded
from etl.clean.not_stated import is_stated
from etl.tables.row_source import VALUES
from models.domain.errors import InvalidFeed
from models.domain.searches.attributes import (
    MAX_ATTRIBUTES,
    AttributeValue,
    attribute_name,
    clean_attributes,
)
from models.domain.text import clean_line

ALL: Final = "*"
"""Chooses all columns that state nothing else."""

USUAL: Final = frozenset(
    {
        *("brand", "manufacturer", "model", "condition", "colour", "color", "size", "gender"),
        *("age_group", "material", "pattern", "style", "weight", "tags", "gtin", "ean", "isbn"),
        *("mpn", "year", "season", "warranty", "energy_efficiency_class"),
    }
)
"""Columns, as `folded` gives their names, that become attributes unless others are chosen."""
LISTS: Final = frozenset({"tags"})
"""Columns whose cells have several texts, parted by commas."""
PACKED: Final = "additional_attributes"
"""Magento's column of `name=value`, parted by commas."""

Cells: TypeAlias = dict[str, str | list[str]]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}
# Shopify's `Option1 Name`, WooCommerce's `Attribute 1 value(s)`.
_PAIRED = re.compile(r"(?:option|attribute)_?([0-9]{1,2})_(name|values?|value_s)")
_PLACEHOLDER: Final = "title"  # Shopify's only option of a product without any


class Kind(StrEnum):
    """What the values of an attribute are."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXTS = "list of texts"


Kinds = Mapping[str, Kind]
"""The kinds of a table's attributes, by name."""


class AttributeColumns:
    """The columns of a table that were chosen to be attributes.

    `named` maps the names of attributes to positions of columns; `paired` are the positions of
    columns that name an attribute, each with those that state it; `packed` is where a cell has
    several.
    """

    def __init__(
        self,
        named: Mapping[str, int],
        paired: Sequence[tuple[int, int]] = (),
        packed: int | None = None,
    ) -> None:
        self.named = named
        self.paired = paired
        self.packed = packed

    @property
    def positions(self) -> Mapping[int, str]:
        """The columns that are used, and the attribute that each states, or nothing if several."""
        several = {position for pair in self.paired for position in pair}
        if self.packed is not None:
            several.add(self.packed)
        return {position: name for name, position in self.named.items()} | dict.fromkeys(
            several, ""
        )

    def of(self, cells: Sequence[str], first: Sequence[str] | None = None) -> Cells:
        """The attributes that a row's cells state.

        Of several rows of one product, only the `first` may name what all of them state.
        """
        stated: Cells = {}
        for name, position in self.named.items():
            _add(stated, name, _texts(name, cells[position]))
        for name_at, value_at in self.paired:
            name = _name(cells[name_at] or (first or cells)[name_at])
            if name and name != _PLACEHOLDER:
                _add(stated, name, _texts(ALL, cells[value_at]))
        if self.packed is not None:
            for part in cells[self.packed].split(","):
                written, equals, value = part.partition("=")
                if equals and _name(written):
                    _add(stated, _name(written), _texts("", value.replace("|", VALUES)))
        return stated


NONE: Final = AttributeColumns({})


def choose(
    columns: Sequence[str], used: Collection[int], wanted: Sequence[str] | None
) -> AttributeColumns:
    """The columns that become attributes: those `wanted`, by name, or the usual ones.

    Of the `used` columns, which state something else, only those that are wanted by name are.
    Raises InvalidFeed for a name that no column has, and where there are too many.
    """
    free = [at for at, name in enumerate(columns) if at not in used and name.strip()]
    if wanted is not None and ALL not in wanted:
        return AttributeColumns(_by_name(columns, wanted))
    paired = list(_pairs(columns, free))
    packed = next((at for at in free if folded(columns[at]) == PACKED), None)
    taken = {at for pair in paired for at in pair} | {packed}
    named: dict[str, int] = {}
    for at in free:
        name = folded(columns[at])
        if at not in taken and (wanted is not None or name in USUAL) and _name(name):
            named.setdefault(_name(name), at)
    if len(named) > MAX_ATTRIBUTES:
        raise InvalidFeed(
            f"The table has {len(named):,} further columns, and a listing at most {MAX_ATTRIBUTES} "
            "attributes: name those that are wanted, as --attributes brand,size."
        )
    return AttributeColumns(named, paired, packed)


def _by_name(columns: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    positions = {folded(column): at for at, column in reversed(list(enumerate(columns)))}
    named: dict[str, int] = {}
    for written in wanted:
        if folded(written) not in positions:
            there = ", ".join(column for column in columns if column.strip())
            raise InvalidFeed(
                f"--attributes names {written}, and the table has no such column: {there:.500}."
            )
        named[_name(folded(written))] = positions[folded(written)]
    return named


def _pairs(columns: Sequence[str], free: Sequence[int]) -> Iterator[tuple[int, int]]:
    found: dict[str, dict[str, int]] = {}
    for at in free:
        if match := _PAIRED.fullmatch(folded(columns[at])):
            found.setdefault(match[1], {})["name" if match[2] == "name" else "value"] = at
    for pair in found.values():
        if len(pair) == len({"name", "value"}):
            yield pair["name"], pair["value"]


def _name(written: str) -> str:
    """The name of an attribute; empty for what can be none."""
    try:
        return attribute_name(written)
    except ValueError:
        return ""


def _texts(name: str, cell: str) -> list[str]:
    several = VALUES in cell or name in LISTS or name == ALL
    parts = cell.replace(VALUES, ",").split(",") if several else [cell]
    return [line for part in parts if is_stated(line := clean_line(part))]


def _add(stated: Cells, name: str, texts: list[str]) -> None:
    if texts:
        before = stated.get(name, [])
        every = [*([before] if isinstance(before, str) else before), *texts]
        distinct = list(dict.fromkeys(every))
        stated[name] = distinct[0] if len(distinct) == 1 else distinct


def merged(one: Cells, other: Cells) -> Cells:
    """The attributes of two rows of one product: of what both state, the texts of both."""
    both = dict(one)
    for name, texts in other.items():
        _add(both, name, [texts] if isinstance(texts, str) else texts)
    return both


def to_cell(stated: Cells) -> str:
    """The one cell that a row's attributes are in."""
    return json.dumps(stated, ensure_ascii=False)


def kinds_of(cells: Iterable[str]) -> Kinds:
    """The kind of each attribute, by a table's first rows: what all of its values are.

    One that no row states is text.
    """
    values: dict[str, list[str]] = {}
    several: set[str] = set()
    for cell in cells:
        for name, stated in _read(cell).items():
            if isinstance(stated, list):
                several.add(name)
            else:
                values.setdefault(name, []).append(stated)
    kinds = {name: _kind(texts) for name, texts in values.items()}
    return kinds | dict.fromkeys(several | (LISTS & kinds.keys()), Kind.TEXTS)


def _kind(texts: Sequence[str]) -> Kind:
    if all(text.casefold() in _BOOLEANS for text in texts):
        return Kind.BOOLEAN
    return Kind.NUMBER if all(map(_NUMBER.fullmatch, texts)) else Kind.TEXT


def attributes_in(kinds: Kinds, cell: str) -> dict[str, AttributeValue]:
    """The attributes in a cell of `to_cell`, as they are stored. Raises ValueError.

    A value that is not of its attribute's kind is text.
    """
    return clean_attributes(
        {name: _value(kinds.get(name, Kind.TEXT), stated) for name, stated in _read(cell).items()}
    )


def _value(kind: Kind, stated: str | list[str]) -> object:
    if isinstance(stated, list):
        return stated
    if kind is Kind.TEXTS:
        return [stated]
    if kind is Kind.BOOLEAN:
        return _BOOLEANS.get(stated.casefold(), stated)
    if kind is Kind.NUMBER and _NUMBER.fullmatch(stated):
        return float(stated)
    return stated


def _read(cell: str) -> Cells:
    return json.loads(cell) if cell else {}
