"""Which kind of table a file holds: by its content, then by its name."""

import codecs
import json
import re
from pathlib import Path
from typing import Final

from etl.clean.column_names import folded
from etl.clean.feed_tables import readable
from etl.tables.delimited import DelimitedRows
from etl.tables.dialects import DIALECTS, PLAIN, known_names
from etl.tables.json_rows import JsonRows
from etl.tables.parquet_rows import ParquetRows
from etl.tables.row_source import RowSource
from etl.tables.xml_rows import XmlRows
from models.domain.errors import InvalidFeed

_HEAD: Final = 1 << 16
_SPREADSHEET: Final = b"PK\x03\x04"
_OLD_SPREADSHEET: Final = b"\xd0\xcf\x11\xe0"
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"Rar!", b"7z\xbc\xaf")
_PAGE = re.compile(r"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_KNOWN: Final = frozenset(name for dialect in (*DIALECTS, PLAIN) for name in known_names(dialect))


def open_rows(path: Path) -> RowSource:
    """The table in this file. Raises InvalidFeed when it is none."""
    with readable(path), path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise InvalidFeed(f"{path.name} is empty.")
    with readable(path):
        return _open(path, head)


def _open(path: Path, head: bytes) -> RowSource:
    if head.startswith(b"PAR1"):
        return ParquetRows(path)
    if head.startswith((_SPREADSHEET, _OLD_SPREADSHEET)):
        raise InvalidFeed(f"{path.name} looks like a spreadsheet: save it as CSV, or as text.")
    if head.startswith(_COMPRESSED):
        raise InvalidFeed(f"{path.name} is compressed: unpack it, or name it as an archive.")
    text = _decoded(head).lstrip()
    if text.startswith("<"):
        if _PAGE.search(text[:1_000]):
            raise InvalidFeed(f"{path.name} is a web page, not a table.")
        return XmlRows(path)
    if text.startswith("["):
        return JsonRows(path, lines=False)
    if text.startswith("{"):
        return JsonRows(path, lines=_is_object(text.partition("\n")[0], path.suffix.lower()))
    return DelimitedRows(path, lambda name: folded(name) in _KNOWN)


def _decoded(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", errors="replace")
    return head.decode("utf-8-sig", errors="replace")


def _is_object(line: str, suffix: str) -> bool:
    """Whether a first line is an object by itself, and so the table one of lines."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        # Where the line is longer than what was read, its name decides.
        return suffix in {".ndjson", ".jsonl"}
    # The whole table may be one line: an object that holds an array of products.
    return not re.match(r'\{\s*"(?:products|items|listings|data|results|entries)"\s*:\s*\[', line)
