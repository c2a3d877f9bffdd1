"""Tables in Parquet."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from etl.tables.json_rows import MAX_DEPTH, TOO_LARGE, collect
from etl.tables.row_source import MAX_ROW_CHARACTERS, Columns, Row
from models.domain.errors import InvalidFeed

ROWS_AT_ONCE: Final = 500


class ParquetRows:
    """A table in a Parquet file, read a few hundred rows at a time."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.size = path.stat().st_size
        self.kind = "Parquet"
        self.details: Mapping[str, str] = {}
        self._path = path
        self._columns = Columns(self.name)
        try:
            with pq.ParquetFile(path) as file:
                self._total: int = file.metadata.num_rows
                schema: pa.Schema = file.schema_arrow
        except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
            raise InvalidFeed(f"{self.name} can't be read as Parquet.") from error
        names = (name for field in schema for name in _names(field.name, field.type))
        self._columns.add(dict.fromkeys(names))
        self.columns = self._columns.names

    def rows(self) -> Iterator[Row]:
        """The rows; position is by the share of rows that were read."""
        total = max(1, self._total)
        for number, (done, fields) in enumerate(self._records(), start=1):
            cells = self._columns.line_up(fields)
            fault = TOO_LARGE if sum(map(len, cells)) > MAX_ROW_CHARACTERS else ""
            yield Row(number, cells, fault, "", self.size * done // total)

    def _records(self) -> Iterator[tuple[int, dict[str, list[str]]]]:
        done = 0
        try:
            with pq.ParquetFile(self._path) as file:
                # Group by group: in a single iteration, pyarrow keeps all that it has read.
                for group in range(file.num_row_groups):
                    for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group]):
                        for record in batch.to_pylist():
                            done += 1
                            yield done, _fields(record)
        except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
            raise InvalidFeed(f"{self.name} can't be read as Parquet.") from error


def _fields(record: Mapping[str, object]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    collect(fields, "", record)
    return fields


def _names(name: str, kind: pa.DataType, depth: int = 0) -> Iterator[str]:
    """The names that `collect` gives the texts in a column of this type."""
    if depth < MAX_DEPTH and pa.types.is_struct(kind):
        for position in range(kind.num_fields):
            child = kind.field(position)
            yield from _names(f"{name}.{child.name}", child.type, depth + 1)
    elif depth < MAX_DEPTH and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        yield from _names(name, kind.value_type, depth + 1)
    else:
        yield name
