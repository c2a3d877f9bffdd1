"""Which character parts the fields of a table, by its header."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from etl.clean.records import LINE_BREAK, Layout, open_text, read_header

DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may part fields, and its name for messages."""

# Excel's way to say so, in a line of its own.
_STATED = re.compile(r'"?sep=(?P<delimiter>[,;|\t])"?\s*', re.IGNORECASE)


def detect_layout(path: Path, encoding: str, is_known: Callable[[str], bool]) -> Layout:
    """The layout of a table: as it states, else that by which most names of columns are known.

    Where none or equally many are, it is that which gives most columns, commas first. Raises
    OSError.
    """
    with open_text(path, encoding) as file:
        stated = _STATED.fullmatch(file.readline(len('"sep=,"\r\n') + 1))
    if stated:
        return Layout(stated["delimiter"], 1)
    return Layout(max(DELIMITERS, key=lambda one: _score(path, encoding, one, is_known)), 0)


def _score(
    path: Path, encoding: str, delimiter: str, is_known: Callable[[str], bool]
) -> tuple[int, int]:
    try:
        with open_text(path, encoding) as file:
            header = read_header(file, Layout(delimiter, 0))
    except csv.Error:
        return 0, 0
    # Without line ends, all of the table is in its header.
    header = [name for name in header if LINE_BREAK not in name]
    return len({name.strip().casefold() for name in header if is_known(name)}), len(header)
