"""A shop's table, in the columns of a feed's products, with the photos of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from db.statements import chunks
from etl.clean.column_names import folded, nearest
from etl.clean.feed_tables import ATTRIBUTES, PAIRED, SHOP_COLUMNS, Chunk
from etl.clean.not_stated import is_stated
from etl.clean.records import is_decoded
from etl.clean.rejects import Consequence, Reject, shorten
from etl.tables.attributes import NONE, Cells, choose, merged, to_cell
from etl.tables.dialects import (
    REQUIRED,
    WITHOUT_A_PLACE,
    Dialect,
    Field,
    dialect_of,
    fields_of,
    known_names,
)
from etl.tables.offers import NotOfferedError, listing_status
from etl.tables.photo_references import MAX_PHOTOS, split_references
from etl.tables.row_source import VALUES, Row, RowSource
from models.domain.errors import InvalidFeed
from models.domain.types import ListingStatus

_LAST: Final = 1 << 30


@dataclass(slots=True)
class _Product:
    """The rows of one product, put together: its first row, and what the others add."""

    number: int
    cells: dict[Field, list[str]]
    photos: list[tuple[int, str]] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    attributes: Cells = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unused:
    """A column that states nothing of a listing, and what to do about it."""

    column: str
    advice: str


class ShopTable:
    """A table whose columns are known by the names that shops give them.

    `fields` says where in the source's columns what is stated is. Raises InvalidFeed when what
    every listing needs is not among them.
    """

    def __init__(self, source: RowSource) -> None:
        names = [folded(column) for column in source.columns]
        self.source = source
        self.name = source.name
        self.size = source.size
        self.dialect: Dialect = dialect_of(names)
        self.fields: Mapping[Field, Sequence[int]] = fields_of(self.dialect, source.columns)
        self.attributes = NONE
        missing = [needed for needed in REQUIRED if needed not in self.fields]
        if missing:
            raise InvalidFeed(self._lacks(missing))

    def choose_attributes(self, wanted: Sequence[str] | None) -> None:
        """Take these columns as attributes, or the usual ones. Raises InvalidFeed."""
        self.attributes = choose(self.source.columns, self._used(), wanted)

    def _used(self) -> set[int]:
        return {position for positions in self.fields.values() for position in positions}

    @property
    def has_photos(self) -> bool:
        """Whether a column names photos."""
        return Field.PHOTOS in self.fields

    def unused(self) -> list[Unused]:
        """The columns that state nothing of a listing."""
        used = self._used() | self.attributes.positions.keys()
        known = known_names(self.dialect)
        return [
            Unused(column, _advice(folded(column), known))
            for position, column in enumerate(self.source.columns)
            if position not in used and column.strip()
        ]

    def notes(self) -> list[str]:
        """What is to be said of the columns that are not used; those alike are said together."""
        alike: dict[str, list[str]] = {}
        for one in self.unused():
            alike.setdefault(one.advice, []).append(one.column)
        return [
            f"the column {columns[0]} {advice}"
            if len(columns) == 1
            else f"the columns {', '.join(columns)} {_of_several(advice)}"
            for advice, columns in alike.items()
        ]

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """The products in chunks of this many; rows of one product are one."""
        for batch in chunks(self._products(), rows):
            products = [product for product, _ in batch if isinstance(product, _Product)]
            rejects = [product for product, _ in batch if isinstance(product, Reject)]
            lines = [self._line(product) for product in products]
            kept = [
                (product, line)
                for product, line in zip(products, lines, strict=True)
                if not isinstance(line, Reject)
            ]
            yield Chunk(
                _frame([(product.number, line) for product, line in kept]),
                rejects + [line for line in lines if isinstance(line, Reject)],
                len(batch),
                batch[-1][1],
                {product.number: self._photos(product) for product, _ in kept},
                [reject for product, _ in kept for reject in product.rejects],
            )

    def _products(self) -> Iterator[tuple[_Product | Reject, int]]:
        """Products put together from consecutive rows, and rows that can't be read."""
        current: _Product | None = None
        position = 0
        for row in self.source.rows():
            read = self._read(row)
            position = row.position
            if isinstance(read, Reject):
                yield read, position
            elif current is not None and self._continues(current, read):
                self._join(current, read)
            else:
                if current is not None:
                    yield current, position
                current = read
        if current is not None:
            yield current, position

    def _read(self, row: Row) -> _Product | Reject:
        place = f" ({row.place})" if row.place else ""
        if row.fault:
            at = self.fields[Field.ID][0]
            # The first field is right even where others are too many or too few.
            is_known = at == 0 or len(row.fields) == len(self.source.columns)
            row_id = shorten(row.fields[at]) if row.fields and is_known else ""
            return Reject(self.name, row.number, _shown(row_id), "", f"{row.fault}{place}")
        cells = {
            stated: [row.fields[position] for position in positions]
            for stated, positions in self.fields.items()
        }
        for stated, texts in cells.items():
            if not is_decoded("".join(texts)):
                reason = f"has bytes that are no text{place}"
                row_id = _shown(shorten(_first(cells[Field.ID])))
                return Reject(self.name, row.number, row_id, stated, reason)
        attributes = self.attributes.of(row.fields)
        if not is_decoded(to_cell(attributes)):
            reason = f"has bytes that are no text{place}"
            row_id = _shown(shorten(_first(cells[Field.ID])))
            return Reject(self.name, row.number, row_id, ATTRIBUTES, reason)
        product = _Product(row.number, cells, fields=row.fields, attributes=attributes)
        rank = _rank(cells)
        for index, cell in enumerate(cells.get(Field.PHOTOS, ())):
            if is_stated(cell):
                # Only the photo in the first column has the position that the row states.
                at = _LAST if index and Field.PHOTO_POSITION in self.fields else rank
                product.photos += [(at, reference) for reference in split_references(cell)]
        return product

    def _continues(self, product: _Product, row: _Product) -> bool:
        if not self.dialect.continued:
            return False
        ids = {cell.strip() for cell in product.cells[Field.ID] if is_stated(cell)}
        if "variation" in _first(row.cells.get(Field.KIND, ())).casefold():
            parent = _first(row.cells.get(Field.PARENT, ())).strip().removeprefix("id:")
            return parent in ids
        return Field.KIND not in self.fields and _first(row.cells[Field.ID]).strip() in ids

    def _join(self, product: _Product, row: _Product) -> None:
        """Add another row of the product: its photos, and its price where there was none."""
        if not is_stated(_price(product.cells)):
            for stated in (Field.PRICE, Field.SALE_PRICE, Field.SALE_DATES):
                if stated in row.cells:
                    product.cells[stated] = row.cells[stated]
        self._join_attributes(product, row)
        product.photos += row.photos
        if len(product.photos) > MAX_PHOTOS:
            del product.photos[MAX_PHOTOS + 1 :]

    def _join_attributes(self, product: _Product, row: _Product) -> None:
        """Add what another row of the product states: its size is one of several."""
        stated = self.attributes.of(row.fields, product.fields)
        product.attributes = merged(product.attributes, stated)

    def _line(self, product: _Product) -> list[str] | Reject:
        """The cells of a product, for `SHOP_COLUMNS`; or why it is not taken in."""
        cells = product.cells
        try:
            status = listing_status(
                cells.get(Field.PUBLISHED, ()),
                cells.get(Field.AVAILABILITY, ()),
                cells.get(Field.STOCK, ()),
            )
        except NotOfferedError as error:
            row_id = shorten(_first(cells[Field.ID]))
            return Reject(
                *(self.name, product.number, row_id, Field.AVAILABILITY, str(error)),
                consequence=Consequence.NOT_OFFERED,
            )
        except ValueError as error:
            status = ListingStatus.ACTIVE
            self._leave_out(product, Field.AVAILABILITY, str(error))
        price, currency = _price(cells), _first(cells.get(Field.CURRENCY, ()))
        return [
            _first(cells[Field.ID]),
            _first(cells[Field.TITLE]),
            self._category(_first(cells.get(Field.CATEGORY, ()))),
            _first(cells.get(Field.DESCRIPTION, ())),
            f"{price}{PAIRED}{currency}" if is_stated(currency) else price,
            *(_first(cells.get(stated, ())) for stated in _AS_THEY_ARE),
            to_cell(product.attributes),
            status.value,
        ]

    def _photos(self, product: _Product) -> list[str]:
        in_order = sorted(product.photos, key=lambda photo: photo[0])
        photos = list(dict.fromkeys(reference for _, reference in in_order))
        if len(photos) > MAX_PHOTOS:
            self._leave_out(product, Field.PHOTOS, f"are more than {MAX_PHOTOS:,}")
        return photos[:MAX_PHOTOS]

    def _leave_out(self, product: _Product, stated: Field, reason: str) -> None:
        row_id = shorten(_first(product.cells[Field.ID]))
        product.rejects.append(
            Reject(
                *(self.name, product.number, row_id, stated, reason),
                consequence=Consequence.LEFT_OUT,
            )
        )

    def _category(self, cell: str) -> str:
        """The path, as the feed's own tables write it; the deepest of several."""
        # Google's taxonomy by number says nothing to a reader.
        if not is_stated(cell) or cell.strip().isdigit():
            return ""
        if not self.dialect.lists_categories:
            return cell
        # A backslash is before a comma of a name.
        paths = [path.replace("\0", ",") for path in _split_list(cell)]
        separator = "/" if self.dialect.root else ">"
        deepest: list[str] = []
        for path in paths:
            names = _below(path, separator, self.dialect.root)
            if len(names) > len(deepest):
                deepest = names
        return " / ".join(deepest)

    def _lacks(self, missing: Sequence[Field]) -> str:
        details = self.source.details.get("delimiter")
        seen = ", ".join(column.strip() or "(no name)" for column in self.source.columns[:12])
        names = {needed: ", ".join(self.dialect.names_of(needed)[:5]) for needed in missing}
        wanted = "; ".join(f"{needed} (such as {names[needed]})" for needed in missing)
        parted = f", parted by {details}," if details else ""
        return (
            f"{self.name} lacks a column for: {wanted}. Its columns{parted} are: "
            f"{_printable(seen):.500}."
        )


_AS_THEY_ARE: Final = (Field.LOCATION, Field.LATITUDE, Field.LONGITUDE, Field.SELLER)


def _frame(rows: Sequence[tuple[int, list[str]]]) -> pd.DataFrame:
    return pd.DataFrame(
        [cells for _, cells in rows],
        index=pd.Index([number for number, _ in rows], dtype="int64", name="row"),
        columns=list(SHOP_COLUMNS),
        dtype=object,
    )


def _first(cells: Iterable[str]) -> str:
    """The first of these cells that states something, and of its values the first; or nothing."""
    for cell in cells:
        for value in cell.split(VALUES):
            if is_stated(value):
                return value
    return ""


def _price(cells: Mapping[Field, Sequence[str]]) -> str:
    """What a buyer pays: the sale's price, unless that is for a time only."""
    sale = _first(cells.get(Field.SALE_PRICE, ()))
    if sale and not _first(cells.get(Field.SALE_DATES, ())):
        return sale
    return _first(cells.get(Field.PRICE, ()))


def _rank(cells: Mapping[Field, Sequence[str]]) -> int:
    text = _first(cells.get(Field.PHOTO_POSITION, ())).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < len(str(_LAST)) else _LAST


def _split_list(cell: str) -> list[str]:
    parts = cell.replace("\\,", "\0").replace("|", ",").replace(VALUES, ",").split(",")
    return [part for part in parts if part.strip()]


def _below(path: str, separator: str, root: str) -> list[str]:
    names = [name.strip() for name in path.split(separator)]
    return names[1:] if root and names[0].casefold() == root.casefold() else names


def _advice(name: str, known: Mapping[str, Field]) -> str:
    if name in WITHOUT_A_PLACE:
        return "is known, but no field of a listing: it is left out"
    near = nearest(name, known)
    if near is not None:
        return f"is not known: call it {near} if it is the {known[near]}"
    return "is not known: it is left out"


def _of_several(advice: str) -> str:
    return advice.replace("is ", "are ", 1).replace("it is left", "they are left")


def _shown(text: str) -> str:
    return text.encode(errors="replace").decode()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in _shown(text))
