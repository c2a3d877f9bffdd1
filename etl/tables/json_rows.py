"""Tables in JSON: an object a line, or one array of objects."""

import json
import re
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TextIO

from etl.tables.row_source import MAX_ROW_CHARACTERS, Columns, Row
from models.domain.errors import InvalidFeed

BLOCK: Final = 1 << 16
MAX_DEPTH: Final = 4
TOO_LARGE: Final = f"has more than {MAX_ROW_CHARACTERS:,} characters"

# Shops' APIs put their array into an object of one name.
_WRAPPER = re.compile(
    r'\s*\{\s*"(?:products|items|listings|data|results|entries)"\s*:\s*(?=\[)', re.IGNORECASE
)
_NO_SPACE = re.compile(r"[^ \t\r\n]")


class JsonRows:
    """A table of objects, each on a line of its own (NDJSON), or all in one array.

    The file is read once to learn its columns, an object at a time, and again for the rows.
    """

    def __init__(self, path: Path, *, lines: bool) -> None:
        self.name = path.name
        self.size = path.stat().st_size
        self.kind = "NDJSON" if lines else "a JSON array"
        self.details: Mapping[str, str] = {"encoding": "utf-8"}
        self._path = path
        self._columns = Columns(self.name)
        self._lines = lines
        for _, fields, _, _ in self._objects():
            self._columns.add(fields)
        self.columns = self._columns.names

    def rows(self) -> Iterator[Row]:
        """The objects as rows; one that is none has a fault."""
        for number, (place, fields, fault, position) in enumerate(self._objects(), start=1):
            yield Row(number, self._columns.line_up(fields), fault, place, position)

    def _objects(self) -> Iterator[tuple[str, dict[str, list[str]], str, int]]:
        with (
            self._path.open("rb") as raw,
            TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="\n") as file,
        ):
            texts = _lines(file) if self._lines else _elements(file, self.name)
            for place, text in texts:
                fields, fault = _fields(text)
                yield place, fields, fault, raw.tell()


def _lines(file: TextIO) -> Iterator[tuple[str, str]]:
    """The lines that are not blank, with their places; a line beyond the limit is cut off."""
    number = 0
    while line := file.readline(MAX_ROW_CHARACTERS + 1):
        number += 1
        rest = line
        while len(rest) > MAX_ROW_CHARACTERS and not rest.endswith("\n"):
            rest = file.readline(MAX_ROW_CHARACTERS + 1)
        if line.strip():
            yield f"line {number}", line


def _elements(file: TextIO, name: str) -> Iterator[tuple[str, str]]:
    """The texts of an array's elements. Raises InvalidFeed where it is no valid JSON.

    An array that is not valid can't be read on behind the fault, unlike a file of lines.
    """
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
    head = file.read(BLOCK)
    wrapper = _WRAPPER.match(head)
    buffer = head[wrapper.end() if wrapper else 0 :].lstrip()
    if not buffer.startswith("["):
        raise InvalidFeed(f"{name} is no array of JSON objects.")
    buffer, count = buffer[1:], 0
    while True:
        start = _behind_space(buffer, 0)
        if count and buffer[start : start + 1] == ",":
            start = _behind_space(buffer, start + 1)
        if buffer[start : start + 1] == "]":
            return
        end = _end(decoder, buffer, start)
        # A number or a word that ends where the buffer does may go on.
        if end is None or end == len(buffer):
            if len(buffer) > MAX_ROW_CHARACTERS:
                raise InvalidFeed(f"{name} is no valid JSON behind element {count:,}.")
            more = file.read(max(BLOCK, len(buffer)))
            if not more:
                raise InvalidFeed(f"{name} is no valid JSON behind element {count:,}.")
            buffer += more
            continue
        count += 1
        yield f"element {count}", buffer[start:end]
        buffer = buffer[end:]


def _behind_space(text: str, start: int) -> int:
    found = _NO_SPACE.search(text, start)
    return found.start() if found else len(text)


def _end(decoder: json.JSONDecoder, text: str, start: int) -> int | None:
    try:
        return decoder.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _fields(text: str) -> tuple[dict[str, list[str]], str]:
    """The fields of an object by their names, nested ones with a dot; or a fault."""
    if len(text) > MAX_ROW_CHARACTERS:
        return {}, TOO_LARGE
    try:
        value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {}, "is not valid JSON"
    if not isinstance(value, dict):
        return {}, "is no JSON object"
    fields: dict[str, list[str]] = {}
    collect(fields, "", value)
    return fields, ""


def collect(fields: dict[str, list[str]], name: str, value: object, depth: int = 0) -> None:
    """Add a value's texts to the fields: those of lists in their order, of objects by name."""
    if depth > MAX_DEPTH:
        fields.setdefault(name, [])
    elif isinstance(value, Mapping):
        for key, nested in value.items():
            collect(fields, f"{name}.{key}" if name else str(key), nested, depth + 1)
    elif isinstance(value, list | tuple):
        if not value:
            fields.setdefault(name, [])
        for nested in value:
            collect(fields, name, nested, depth + 1)
    else:
        fields.setdefault(name, []).append(_text(value))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return str(value)
