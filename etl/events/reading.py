"""Reads a table of events line by line: an object of JSON each, or delimited text such as CSV.

What it is is seen in its first line. A row is one line, so that what is wrong with one says nothing
of the next, and a stream needs no end.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

from etl.clean.column_names import nearest
from etl.clean.delimiters import DELIMITERS
from etl.clean.records import is_decoded
from models.domain.errors import InvalidFeed

COLUMNS: Final = ("event_id", "user", "type", "listing_id", "at", "search_id", "position")
REQUIRED: Final = ("user", "type", "listing_id", "at")
MAX_LINE: Final = 100_000
"""Bytes of a row, at most."""
_NO_TEXT: Final = {
    b"PK\x03\x04": "an archive or a workbook",
    b"\x1f\x8b": "compressed by gzip",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "a workbook",
    codecs.BOM_UTF16_LE: "in UTF-16",
    codecs.BOM_UTF16_BE: "in UTF-16",
}


class EventRow(NamedTuple):
    """A row: its line's number from 1, its fields by column, and why it can't be used, or empty.

    Fields are texts, of JSON also numbers; those that are empty are left out.
    """

    number: int
    fields: Mapping[str, object]
    fault: str


@dataclass(frozen=True, slots=True)
class EventTable:
    """The rows of a table of events, and the names of columns that say nothing of them."""

    rows: Iterator[EventRow]
    ignored: Sequence[str]


def read_events(stream: BinaryIO, name: str) -> EventTable:
    """The table in a stream of bytes. Raises InvalidFeed if it is none; `name` is for sentences."""
    lines = _lines(stream, name)
    number, first = next(lines, (0, ""))
    if not first:
        raise InvalidFeed(f"{name} is empty.")
    if first.lstrip().startswith("{"):
        return EventTable(_json_rows(number, first, lines), [])
    if first.lstrip().startswith("["):
        raise InvalidFeed(f"{name} is a JSON array: write one object a line (NDJSON).")
    delimiter = max(DELIMITERS, key=lambda one: len(set(_header(first, one)) & set(COLUMNS)))
    header = _header(first, delimiter)
    _check_header(header, name)
    ignored = [column for column in header if column not in COLUMNS]
    return EventTable(_delimited_rows(lines, header, delimiter), ignored)


def _lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank with their numbers; one that is too long is cut just beyond.

    Bytes that are not UTF-8 become lone surrogates.
    """
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            _check_is_text(line, name)
            line = line.removeprefix(codecs.BOM_UTF8)
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE + 1)
        if line.strip():
            yield number, line.decode("utf-8", "surrogateescape")


def _check_is_text(first: bytes, name: str) -> None:
    for magic, what in _NO_TEXT.items():
        if first.startswith(magic):
            raise InvalidFeed(f"{name} is {what}: give CSV or NDJSON, in UTF-8.")


def _header(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().casefold() for name in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return []


def _check_header(header: Sequence[str], name: str) -> None:
    for column in COLUMNS:
        if header.count(column) > 1:
            raise InvalidFeed(f"{name} has the column {column} twice.")
    missing = [column for column in REQUIRED if column not in header]
    if missing:
        near = nearest(missing[0], header)
        hint = f" Is it {near!r}? Rename it." if near else f" Columns are {', '.join(COLUMNS)}."
        raise InvalidFeed(f"{name} has no column {missing[0]}.{hint}")


def _json_rows(number: int, first: str, lines: Iterator[tuple[int, str]]) -> Iterator[EventRow]:
    yield _json_row(number, first)
    for following, line in lines:
        yield _json_row(following, line)


def _json_row(number: int, line: str) -> EventRow:
    if fault := _fault_of_line(line):
        return EventRow(number, {}, fault)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return EventRow(number, {}, "is not valid JSON")
    if not isinstance(value, dict):
        return EventRow(number, {}, "is no JSON object")
    fields = {key: field for key, field in value.items() if field is not None and field != ""}
    return EventRow(number, fields, "")


def _delimited_rows(
    lines: Iterator[tuple[int, str]], header: Sequence[str], delimiter: str
) -> Iterator[EventRow]:
    for number, line in lines:
        fault = _fault_of_line(line)
        cells: list[str] = []
        if not fault:
            try:
                cells = next(csv.reader([line], strict=True, delimiter=delimiter))
            except csv.Error as error:
                fault = f"is not valid CSV: {error}"
            if not fault and len(cells) != len(header):
                fault = f"its field count is {len(cells)}, the header's is {len(header)}"
        fields = (
            {} if fault else {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        )
        yield EventRow(number, fields, fault)


def _fault_of_line(line: str) -> str:
    if len(line.encode(errors="surrogateescape")) > MAX_LINE:
        return f"has more than {MAX_LINE:,} bytes"
    return "" if is_decoded(line) else "is not UTF-8"
