"""Read records from a file of CSV in which only a line feed ends a line.

A bare carriage return is a line break inside a field. pandas' reader supports that, but pads short
records, so that they can't be detected; the standard library's reader treats a carriage return as
the end of a record. So carriage returns are replaced by vertical tabs.

A tool that has rewritten line ends splits a record whose text has unquoted line breaks into several
lines. They are joined again: a record begins where its id is a UUID, and continues through lines
that begin no other until it has as many fields as the header. A line break in the last column is
ambiguous: the lines after it are rejected.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

from etl.clean.uuids import is_id

LINE_BREAK = "\v"

# Limits of a record: an unclosed quote could extend it over the whole file, which would fill the
# memory and take quadratic time.
MAX_LINES = 1_000
MAX_CHARACTERS = 1 << 20


class Record(NamedTuple):
    """The fields of a record, in lines `first` to `last` of the file; a blank line has none.

    `fault` is the reason why the record can't be used, or empty; its fields are then those of its
    first line, as far as they are known.
    """

    fields: list[str]
    fault: str
    first: int
    last: int

    @property
    def place(self) -> str:
        """Its line numbers as text, for messages."""
        if self.first == self.last:
            return f"line {self.first}"
        return f"lines {self.first} to {self.last}"


def detect_encoding(path: Path) -> str:
    """The encoding of a file of text: by its byte order mark, else UTF-8 or cp1252.

    One pass over the file. A damaged line does not change the encoding of all others: lines that
    are UTF-8 beyond ASCII are counted against lines that are not.
    """
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        surplus = 0
        for line in iter(partial(file.readline, MAX_CHARACTERS), b""):
            if not line.isascii():
                surplus += 1 if _is_utf8(line) else -1
    return "cp1252" if surplus < 0 else "utf-8"


def open_text(path: Path, encoding: str) -> TextIO:
    """Open a file so that bytes which are not of the encoding don't end the reading of it.

    They become lone surrogates; in UTF-16, which has no such bytes, U+FFFD.
    """
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    return path.open(encoding=codec, errors=errors, newline="\n")


def is_decoded(text: str) -> bool:
    """Whether all bytes of this text were of the file's encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Layout(NamedTuple):
    """What parts the fields of a table, and how many lines are before its header."""

    delimiter: str = ","
    skipped: int = 0


def read_header(file: TextIO, layout: Layout) -> list[str]:
    """The fields of the first record; none when the file is empty. Raises csv.Error."""
    lines = _Lines(file, layout.skipped)
    return next(csv.reader(lines, strict=True, delimiter=layout.delimiter), [])


def read_records(file: TextIO, width: int, id_position: int, layout: Layout) -> Iterator[Record]:
    """The records after the header, which has `width` fields and the id at `id_position`.

    A record that is no CSV, or has more or fewer fields, has a `fault`, which does not affect the
    lines after it.
    """
    lines = _Lines(file, layout.skipped)
    reader = csv.reader(lines, strict=True, delimiter=layout.delimiter)
    next(reader, None)
    while True:
        lines.begin_record()
        fields: list[str] = []
        fault = ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"is not valid CSV: {error}"
        if len(fields) != width and not fault:
            if _is_blank(fields):
                fields = []
            elif whole := _stitch(fields, reader, width, id_position):
                fields = whole
            else:
                fault = f"its field count is {len(fields)}, the header's is {width}"
        if fault:
            lines.give_back()
        if fault and layout.delimiter == "\t":
            # Tools that part fields by tabs seldom quote: a quote may be part of the text.
            plain = lines.current.rstrip("\r\n").split("\t")
            fields, fault = (plain, "") if len(plain) == width else (fields, fault)
        yield Record(fields, fault, lines.first, lines.last)


def begins_record(fields: Sequence[str], id_position: int) -> bool:
    """Whether these are the first fields of a record: its id's is among them and is a UUID."""
    return len(fields) > id_position and is_id(fields[id_position])


def _is_blank(fields: Sequence[str]) -> bool:
    return len(fields) < 2 and not "".join(fields).strip()  # noqa: PLR2004 - a lone field


def _stitch(
    first: Sequence[str], reader: Iterator[list[str]], width: int, id_position: int
) -> list[str]:
    """The record that begins with these fields; empty if the next lines don't complete it.

    A line is read twice at most, because the search ends at the beginning of the next record.
    """
    if not begins_record(first, id_position):
        return []
    *fields, last = first
    broken = [last]
    while len(fields) + 1 < width:
        try:
            piece = next(reader, None)
        except csv.Error:
            return []
        if piece is None or begins_record(piece, id_position):
            return []
        continued, *rest = piece or [""]
        broken.append(continued)
        if rest:
            fields += [LINE_BREAK.join(broken), *rest[:-1]]
            broken = [rest[-1]]
    return [*fields, *broken] if len(fields) + 1 == width else []


class _Lines(Iterator[str]):
    """The lines of a file; a broken record can give back all but its first.

    `first` and `last` are the numbers of the lines taken for the current record.
    """

    def __init__(self, file: TextIO, skipped: int) -> None:
        self.first = 1 + skipped
        self._size = 0
        self._file = file
        self._returned: deque[str] = deque()
        self._taken: list[str] = []
        for _ in range(skipped):
            self._read()

    @property
    def current(self) -> str:
        """The first line of the current record."""
        return self._taken[0] if self._taken else ""

    @property
    def last(self) -> int:
        return self.first + len(self._taken) - 1

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._read()
        self._taken.append(line)
        self._size += len(line)
        if len(self._taken) > MAX_LINES or self._size > MAX_CHARACTERS:
            raise csv.Error(f"longer than {MAX_LINES:,} lines or {MAX_CHARACTERS:,} characters")
        return line

    def begin_record(self) -> None:
        """Start the next record after the lines read so far."""
        self.first += len(self._taken)
        self._taken.clear()
        self._size = 0

    def give_back(self) -> None:
        """Return all lines of the current record but its first, to be read again."""
        self._returned.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]

    def _read(self) -> str:
        """The next line, truncated just beyond the limit."""
        line = self._file.readline(MAX_CHARACTERS + 1)
        if not line:
            raise StopIteration
        if len(line) > MAX_CHARACTERS:
            self._skip_rest(line)
        elif "\r" in line:
            line = line.rstrip("\r\n").replace("\r", LINE_BREAK) + "\n"
        return line

    def _skip_rest(self, line: str) -> None:
        while line and not line.endswith("\n"):
            line = self._file.readline(MAX_CHARACTERS)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
