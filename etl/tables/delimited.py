"""Tables of text whose fields are parted by a character: CSV, TSV and their like."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from etl.clean.delimiters import DELIMITERS, detect_layout
from etl.clean.feed_tables import read_names, readable
from etl.clean.records import detect_encoding, open_text, read_records
from etl.tables.row_source import MAX_COLUMNS, Row
from models.domain.errors import InvalidFeed


class DelimitedRows:
    """A table in a file of text. Its encoding and delimiter are found out by reading it."""

    def __init__(self, path: Path, is_known: Callable[[str], bool]) -> None:
        self.name = path.name
        with readable(path):
            self.size = path.stat().st_size
            self._encoding = detect_encoding(path)
            self._layout = detect_layout(path, self._encoding, is_known)
            with open_text(path, self._encoding) as file:
                self.columns = read_names(file, self.name, self._layout)
        if len(self.columns) > MAX_COLUMNS:
            raise InvalidFeed(f"{self.name} has more than {MAX_COLUMNS:,} columns.")
        self.kind = "text"
        self.details: Mapping[str, str] = {
            "delimiter": DELIMITERS[self._layout.delimiter],
            "encoding": self._encoding,
        }
        self._path = path

    def rows(self) -> Iterator[Row]:
        """The records behind the header, which is row 1."""
        with readable(self._path), open_text(self._path, self._encoding) as file:
            records = read_records(file, len(self.columns), 0, self._layout)
            for number, record in enumerate(records, start=2):
                if record.fields or record.fault:
                    yield Row(number, record.fields, record.fault, record.place, file.buffer.tell())
