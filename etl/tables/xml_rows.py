"""Product feeds in XML: RSS 2.0 and Atom with Google Merchant's elements, and shops' own.

Streamed by expat, one item in memory at a time. A document that declares something of its own is
refused, so that there is no entity to expand, and expat fetches nothing by itself: these are the
dangers that the documentation of Python's `xml` package names. Sizes and depths are limited here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.parsers import expat

from etl.tables.json_rows import TOO_LARGE
from etl.tables.row_source import MAX_ROW_CHARACTERS, Columns, Row
from models.domain.errors import InvalidFeed

BLOCK: Final = 1 << 16
MAX_DEPTH: Final = 32
ITEMS: Final = frozenset({"item", "entry", "product", "offer"})
"""The elements that are rows: of RSS, of Atom, and of shops' own feeds. Case is folded."""

MAX_TOKEN: Final = 4 << 20
"""In bytes; expat holds a tag with its attributes as a whole."""

_ELEMENT: Final = 16  # what an element counts beside its text, in characters


class XmlRows:
    """The items of a feed in XML.

    Fields have the names of the elements without prefix; those of nested ones have a dot. An
    element that is repeated has several values; those of elements with a prefix come first, as
    Atom's `id` is not Google's `g:id`. The file is read once to learn the columns, and again.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.size = path.stat().st_size
        self.kind = "XML"
        self.details: Mapping[str, str] = {}
        self._path = path
        self._columns = Columns(self.name)
        items = 0
        for items, item in enumerate(self._items(), start=1):  # noqa: B007 - counts them
            self._columns.add(item.fields)
        if not items:
            raise InvalidFeed(
                f"{self.name} is XML, but no product feed: it has none of the elements "
                f"{', '.join(sorted(ITEMS))}."
            )
        self.columns = self._columns.names

    def rows(self) -> Iterator[Row]:
        """The items as rows, in their order."""
        for number, item in enumerate(self._items(), start=1):
            cells = self._columns.line_up(item.fields)
            fault = TOO_LARGE if item.size > MAX_ROW_CHARACTERS else ""
            yield Row(number, cells, fault, f"line {item.line}", item.position)

    def _items(self) -> Iterator["_Item"]:
        handler = _Handler(self.name)
        try:
            with self._path.open("rb") as file:
                while block := file.read(BLOCK):
                    handler.parser.Parse(block, False)
                    if file.tell() - handler.parser.CurrentByteIndex > MAX_TOKEN:
                        raise InvalidFeed(
                            f"{self.name} has a tag of more than {MAX_TOKEN:,} bytes."
                        )
                    yield from handler.take(file.tell())
                handler.parser.Parse(b"", True)
                yield from handler.take(file.tell())
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise InvalidFeed(f"{self.name} is not valid XML: {error}.") from error


class _Item:
    """An item: its fields, those with a prefix apart, its first line, and how large it is."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.size = 0
        self.position = 0
        self._prefixed: dict[str, list[str]] = {}
        self._plain: dict[str, list[str]] = {}

    @property
    def fields(self) -> dict[str, list[str]]:
        names = dict.fromkeys([*self._plain, *self._prefixed])
        return {name: [*self._prefixed.get(name, ()), *self._plain.get(name, ())] for name in names}

    def add(self, path: list[str], text: str) -> None:
        kind = self._prefixed if any(":" in name for name in path) else self._plain
        name = ".".join(name.rpartition(":")[2] for name in path)
        kind.setdefault(name, []).append(text)


class _Handler:
    """Collects items from the parser's events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._depth = 0
        self._path: list[str] = []
        self._text: list[str] = []
        self._item: _Item | None = None
        self._done: list[_Item] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse_declarations

    def take(self, position: int) -> list[_Item]:
        """The items that have ended since."""
        done, self._done = self._done, []
        for item in done:
            item.position = position
        return done

    def _refuse_declarations(self, _type: str, _system: object, _public: object, own: int) -> None:
        if own:
            raise InvalidFeed(f"{self._name} declares entities, which no product feed needs.")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidFeed(f"{self._name} has elements in more than {MAX_DEPTH} others.")
        if self._item is not None:
            self._path.append(name)
            self._item.size += _ELEMENT
            self._text.clear()
        elif name.rpartition(":")[2].casefold() in ITEMS:
            self._item = _Item(self.parser.CurrentLineNumber)
            for attribute, text in attributes.items():
                self._item.add([attribute], text)

    def _end(self, _name: str) -> None:
        self._depth -= 1
        if self._item is None:
            return
        if not self._path:
            self._done.append(self._item)
            self._item = None
            return
        text = "".join(self._text)
        self._text.clear()
        if self._item.size <= MAX_ROW_CHARACTERS:
            self._item.add(self._path, text.strip())
        self._path.pop()

    def _characters(self, text: str) -> None:
        if self._item is not None and self._path:
            self._item.size += len(text)
            if self._item.size <= MAX_ROW_CHARACTERS:
                self._text.append(text)
