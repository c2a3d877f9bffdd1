"""Reads a bulk table as it comes: NDJSON, an array of JSON, or delimited text such as CSV.

What it is is seen in its content. Clients state other media types: Excel, where it is installed,
makes a browser say `application/vnd.ms-excel` of CSV.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from api.forms import media_type
from api.naming import SHOWN_CHARACTERS, unknown_name
from api.uploads.parts import stated_charset
from models.domain.errors import InvalidInput
from models.domain.searches.attributes import scalar_of_text

Row: TypeAlias = str | Mapping[str, object] | InvalidInput
"""A row as JSON, or its values by column, or why it can't be read."""

LIST_COLUMN: Final = "photos"
OBJECT_COLUMN: Final = "attributes"
ATTRIBUTE_PREFIX: Final = "attributes."
"""How the name of a column begins that has an attribute: `attributes.brand`."""
DELIMITERS: Final = ",;\t|"
# Which columns there are is seen in so many characters.
HEADER_CHARACTERS: Final = 1 << 16
MAX_ROW: Final = 1 << 20
"""Characters of a row: as JSON it may take twenty times as many bytes of memory."""
MOST_ROWS_SHORT: Final = 1 << 14
"""Characters in which most rows of an array end."""
TOO_LONG: Final = f"The part 'listings' has a row of more than {MAX_ROW:,} characters."

_SEPARATOR_LINE: Final = re.compile(r"\"?sep=([,;\t|])\"?[,;\t| ]*(?:\r\n|\r|\n)", re.IGNORECASE)
_NO_SPACE: Final = re.compile(r"[^ \t\r\n]")
_DECODER: Final = json.JSONDecoder()
_NO_TEXT: Final = {
    b"PK\x03\x04": "a workbook or an archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x1f\x8b": "compressed by gzip",
}


def read_rows(data: bytes, content_type: str | None, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a table whose columns are among these; `photos` is split at spaces.

    A column `attributes` has JSON, and one such as `attributes.brand` the attribute of that name.
    Raises InvalidInput if it is no such table.
    """
    text = _decoded(data, content_type).lstrip("\r\n")
    start = text.lstrip()[:1]
    if start == "[":
        return _json_rows(text)
    known, delimiter = _known_columns(text, columns)
    stated = _SEPARATOR_LINE.match(text)
    if stated:
        return _delimited_rows(text[stated.end() :], stated[1], columns)
    if start == "{" or (_says_json(content_type) and not known):
        return (line for line in _lines(text, "\n") if line.strip())
    return _delimited_rows(text, delimiter, columns)


def _decoded(data: bytes, content_type: str | None) -> str:
    """The text, by its byte order mark, else UTF-8, else as stated or as Excel writes it."""
    for magic, what in _NO_TEXT.items():
        if data.startswith(magic):
            raise InvalidInput(f"The part 'listings' is {what}: send it as CSV in UTF-8.")
    by_mark = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    encodings = [by_mark, stated_charset(content_type)]
    if data.lstrip()[:1] not in {b"{", b"["}:
        # "CSV" of Excel, other than its "CSV UTF-8"; JSON is in UTF-8 only.
        encodings.append("windows-1252")
    for encoding in filter(None, encodings):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InvalidInput("The part 'listings' is not UTF-8.")


def _says_json(content_type: str | None) -> bool:
    return "json" in media_type(content_type)


def _lines(text: str, newline: str) -> Iterator[str]:
    """The lines of a text. Raises InvalidInput for one that is too long."""
    for line in io.StringIO(text, newline=newline):
        if len(line) > MAX_ROW:
            raise InvalidInput(TOO_LONG)
        yield line


def _json_rows(text: str) -> Iterator[Row]:
    """The items of an array, one by one: all of them could take much more memory than their text.

    Raises InvalidInput where it is no array, once the items before have been given.
    """
    position = _next_token(text, _next_token(text, 0) + 1)
    if text[position : position + 1] != "]":
        position -= 1
        while True:
            item, position = _item(text, _next_token(text, position + 1))
            yield item if isinstance(item, dict) else _no_object(item)
            position = _next_token(text, position)
            if text[position : position + 1] != ",":
                break
    if text[position : position + 1] != "]" or text[position + 1 :].strip():
        raise InvalidInput(f"The part 'listings' is not JSON after character {position:,}.")


def _next_token(text: str, position: int) -> int:
    found = _NO_SPACE.search(text, position)
    return found.start() if found else len(text)


def _item(text: str, position: int) -> tuple[object, int]:
    """The value that begins here, and where it ends."""
    for most in (MOST_ROWS_SHORT, MAX_ROW):
        piece = text[position : position + most]
        try:
            item, length = _DECODER.raw_decode(piece)
        except (ValueError, RecursionError) as error:
            if len(piece) < most:
                raise InvalidInput(f"The part 'listings' is not JSON: {error}.") from error
        else:
            # A number may go on behind the piece.
            if length < len(piece) or len(piece) < most:
                return item, position + length
    raise InvalidInput(TOO_LONG)


def _no_object(item: object) -> InvalidInput:
    return InvalidInput(f"The row is {type(item).__name__}, not an object of JSON.")


def _delimited_rows(text: str, delimiter: str, columns: Sequence[str]) -> Iterator[Row]:
    records = _records(text, delimiter)
    number = 0
    try:
        names = _header(next(records, []), columns)
        for position, cells in enumerate(records, start=1):
            number = position
            if any(cell.strip() for cell in cells):
                yield _row(names, [cell.strip() for cell in cells])
    except csv.Error as error:
        where = f"after row {number}" if number else "at its beginning"
        raise InvalidInput(f"The part 'listings' is not CSV {where}: {error}.") from error


def _known_columns(text: str, columns: Sequence[str]) -> tuple[int, str]:
    """How many of the columns the first line has, by the delimiter that shows most of them."""
    counts = []
    for delimiter in DELIMITERS:
        try:
            header = next(_records(text[:HEADER_CHARACTERS], delimiter), [])
        except csv.Error:
            header = []
        counts.append(sum(_is_known(_normal(name), columns) for name in header))
    most = max(counts)
    return most, DELIMITERS[counts.index(most)]


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    # Strict, or an unclosed quote would swallow all rows after it.
    return csv.reader(_lines(text, ""), delimiter=delimiter, skipinitialspace=True, strict=True)


def _normal(name: str) -> str:
    return name.strip().casefold()


def _is_known(name: str, columns: Sequence[str]) -> bool:
    return name in columns or (
        OBJECT_COLUMN in columns and name.startswith(ATTRIBUTE_PREFIX) and name != ATTRIBUTE_PREFIX
    )


def _header(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The columns in the order of the table; one without a name is empty. Raises InvalidInput."""
    found = [_normal(name) for name in names]
    for name, written in zip(found, names, strict=True):
        if name and not _is_known(name, columns):
            raise InvalidInput(
                f"The column {unknown_name(written.strip(), columns)} Attributes have columns such "
                f"as '{ATTRIBUTE_PREFIX}{name[:SHOWN_CHARACTERS]}'."
            )
        if name and found.count(name) > 1:
            raise InvalidInput(f"The column {name!r} comes twice.")
    return found


def _row(names: Sequence[str], cells: Sequence[str]) -> Row:
    """The values by column, without empty ones."""
    if any(cells[len(names) :]):
        return InvalidInput(f"The row has {len(cells)} fields, the header {len(names)}.")
    values = dict[str, object]()
    attributes = dict[str, object]()
    for position, (name, cell) in enumerate(zip(names, cells, strict=False), start=1):
        if cell and not name:
            raise InvalidInput(f"Column {position} has values, such as {cell[:40]!r}, but no name.")
        if not cell:
            continue
        if name == OBJECT_COLUMN or name.startswith(ATTRIBUTE_PREFIX):
            stated = _attributes(name, cell)
            if isinstance(stated, InvalidInput):
                return stated
            if twice := attributes.keys() & stated:
                return InvalidInput(f"The attribute {min(twice)!r} is stated twice.")
            attributes |= stated
        else:
            values[name] = cell.split() if name == LIST_COLUMN else cell
    return values | {OBJECT_COLUMN: attributes} if attributes else values


def _attributes(column: str, cell: str) -> dict[str, object] | InvalidInput:
    """The attributes in a cell: JSON, or the value of one."""
    if column != OBJECT_COLUMN:
        return {column.removeprefix(ATTRIBUTE_PREFIX): scalar_of_text(cell)}
    try:
        stated = json.loads(cell)
    except (ValueError, RecursionError) as error:
        return InvalidInput(f"The column 'attributes' is not JSON: {error}.")
    if not isinstance(stated, dict):
        return InvalidInput("The column 'attributes' is not an object of JSON.")
    return stated
