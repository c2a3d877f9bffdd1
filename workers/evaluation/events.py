"""The events that recommendations are evaluated by, from a file or from the database."""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from pydantic_core import from_json
from sqlalchemy.orm import Session

from db.events.all_events import all_events
from db.events.tables import KIND_CODES
from db.statements import chunks
from models.domain.errors import InvalidInput
from models.evaluation.recommendations.events import KINDS, Events, Integers, Mask
from workers.evaluation.catalogue import StoredCatalogue

NEEDED: Final = ("user", "type", "listing_id", "at")
COLUMNS: Final = ("event_id", *NEEDED)
DELIMITERS: Final = (",", ";", "\t", "|")
FIRST_LINE: Final = 100_000
"""In bytes, at most."""
LINES_AT_ONCE: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class ReadEvents:
    """Events of the catalogue, and how many others there were.

    `unknown` are of listings that are not in the catalogue, `invalid` have no user, no known type,
    or no time that can be read; `repeated` have the id of an event before.
    """

    events: Events
    unknown: int
    invalid: int = 0
    repeated: int = 0


def stored_events(session: Session, catalogue: StoredCatalogue) -> ReadEvents:
    """The events of the database."""
    stored = all_events(session)
    numbers = catalogue.numbers
    rows = np.minimum(np.searchsorted(numbers, stored.listings), len(numbers) - 1)
    is_known = numbers[rows] == stored.listings
    of_code = {KIND_CODES[kind]: number for number, kind in enumerate(KINDS)}
    of_codes = np.array([of_code[code] for code in range(len(of_code))], np.int64)
    events = Events.ordered(
        stored.users[is_known],
        np.asarray(rows, np.int64)[is_known],
        of_codes[stored.kinds[is_known]],
        stored.at[is_known],
    )
    return ReadEvents(events, int((~is_known).sum()))


def events_of_file(path: Path, catalogue: StoredCatalogue) -> ReadEvents:
    """The events of a CSV, or NDJSON, file with the fields of `POST /v1/events`.

    Times without a zone are in UTC. About 300 bytes of memory an event, while it is read. Raises
    `InvalidInput` where it can't be read, or lacks a field.
    """
    table, malformed = _table(path)
    rows = _rows_of(table["listing_id"].fillna("").str.strip(), catalogue)
    of_name = {kind.value: number for number, kind in enumerate(KINDS)}
    kinds = table["type"].str.strip().str.lower().map(of_name)
    at = pd.to_datetime(table["at"].str.strip(), utc=True, format="ISO8601", errors="coerce")
    users, _ = pd.factorize(table["user"], sort=True)
    is_valid = (kinds.notna() & at.notna() & (users >= 0)).to_numpy(np.bool_)
    is_known: Mask = rows >= 0
    repeated = _repeated(table) & is_valid
    kept = is_valid & is_known & ~repeated
    return ReadEvents(
        Events.ordered(
            np.asarray(users, np.int64)[kept],
            rows[kept],
            np.asarray(kinds[kept], np.int64),
            _milliseconds(at[kept]),
        ),
        unknown=int((is_valid & ~is_known).sum()),
        invalid=malformed + int((~is_valid).sum()),
        repeated=int((repeated & is_known).sum()),
    )


def _rows_of(listings: "pd.Series[str]", catalogue: StoredCatalogue) -> Integers:
    """The rows of these listings, by what a feed calls them or by their ids; -1 of others."""
    rows = np.asarray(pd.Index(catalogue.names).get_indexer(pd.Index(listings)), np.int64)
    unnamed = np.flatnonzero(rows < 0)
    if len(unnamed):
        ids = pd.Index([str(one.listing_id) for one in catalogue.facts])
        rows[unnamed] = ids.get_indexer(pd.Index(listings.iloc[unnamed].str.lower()))
    return rows


def _table(path: Path) -> tuple[pd.DataFrame, int]:
    """The columns of texts that are needed, and how many rows are no such rows."""
    try:
        with path.open("rb") as file:
            first = file.readline(FIRST_LINE).removeprefix(codecs.BOM_UTF8).decode()
        if first.lstrip().startswith("{"):
            return _of_json(path)
        return _delimited(path, first)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise InvalidInput(f"{path} can't be read as events: {_sentence(error)}") from error


def _delimited(path: Path, first: str) -> tuple[pd.DataFrame, int]:
    delimiter = max(DELIMITERS, key=lambda one: len(set(_named(first.split(one))) & set(COLUMNS)))
    header = _named(first.split(delimiter))
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise InvalidInput(f"{path} has no column {', '.join(missing)}.")
    malformed = 0

    def skip(row: pa.csv.InvalidRow) -> str:
        nonlocal malformed
        del row
        malformed += 1
        return "skip"

    kept = [name for name in COLUMNS if name in header]
    table = pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(column_names=header, skip_rows=1),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip),
        convert_options=pa.csv.ConvertOptions(
            include_columns=kept,
            column_types=dict.fromkeys(kept, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    frame: pd.DataFrame = table.to_pandas()
    return frame, malformed


def _named(header: Iterable[str]) -> list[str]:
    return [name.strip().strip('"').strip().casefold() for name in header]


def _of_json(path: Path) -> tuple[pd.DataFrame, int]:
    malformed = 0
    parts = [pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})]
    with path.open(encoding="utf-8-sig") as lines:
        for batch in chunks((line for line in lines if line.strip()), LINES_AT_ONCE):
            objects = [one for line in batch if isinstance(one := _parsed(line), dict)]
            malformed += len(batch) - len(objects)
            rows = [[_text(one.get(name)) for name in COLUMNS] for one in objects]
            parts.append(pd.DataFrame(rows, columns=list(COLUMNS), dtype=object))
    return pd.concat(parts, ignore_index=True), malformed


def _parsed(line: str) -> object:
    try:
        parsed: object = from_json(line)
    except ValueError:
        return None
    return parsed


def _text(value: object) -> str | None:
    """Ids may be numbers in JSON; what is empty is not stated."""
    return None if value is None or value == "" else str(value)


def _sentence(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."


def _repeated(table: pd.DataFrame) -> Mask:
    if "event_id" not in table.columns:
        return np.zeros(len(table), np.bool_)
    ids = table["event_id"]
    return (ids.duplicated() & ids.notna()).to_numpy(np.bool_)


def _milliseconds(at: "pd.Series[pd.Timestamp]") -> Integers:
    return np.asarray(at.dt.as_unit("ms").astype(np.int64), np.int64)
