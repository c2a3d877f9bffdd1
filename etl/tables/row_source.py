"""What all kinds of tables are read as: rows of fields, as unchanged text."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from models.domain.errors import InvalidFeed

VALUES: Final = "\x1f"
"""Between the values of a field that has several, such as a list of photos."""

MAX_COLUMNS: Final = 2_000
MAX_ROW_CHARACTERS: Final = 1 << 20
"""A row that is larger is rejected, so that none fills the memory."""


class Row(NamedTuple):
    """A row's number and its fields, one for each column of the table.

    `fault` is the reason why it can't be used, or empty; then fields may be missing. `place` says
    where it is in the file, or is empty. `position` is how many bytes of the file have been read.
    """

    number: int
    fields: list[str]
    fault: str
    place: str
    position: int


class RowSource(Protocol):
    """A table in a file.

    `columns` are the names of its columns as they are written, `kind` what the file is, and
    `details` what else was found out about it, by name.
    """

    name: str
    size: int
    kind: str
    columns: list[str]
    details: Mapping[str, str]

    def rows(self) -> Iterator[Row]:
        """All rows, each with as many fields as there are columns. Raises InvalidFeed."""


class Columns:
    """The columns of a table whose rows name their fields, in the order in which they came."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._positions: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """Their names, as they are written."""
        return list(self._positions)

    def add(self, fields: Mapping[str, object]) -> None:
        """Add the columns that these fields have. Raises InvalidFeed when there are too many."""
        for field in fields:
            self._positions.setdefault(field, len(self._positions))
        if len(self._positions) > MAX_COLUMNS:
            raise InvalidFeed(f"{self._name} has more than {MAX_COLUMNS:,} columns.")

    def line_up(self, fields: Mapping[str, list[str]]) -> list[str]:
        """The fields, one for each column."""
        cells = [""] * len(self._positions)
        for field, values in fields.items():
            # A file that grows while it is read may have more columns now.
            position = self._positions.get(field)
            if position is not None:
                cells[position] = VALUES.join(values)
        return cells
