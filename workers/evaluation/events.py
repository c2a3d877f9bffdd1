"""The events that recommendations are evaluated by, from a file or from the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
from sqlalchemy.orm import Session

from db.events.all_events import all_events
from db.events.tables import KIND_CODES
from models.domain.errors import InvalidInput
from models.evaluation.recommendations.events import KINDS, Events, Integers, Mask
from workers.evaluation.catalogue import StoredCatalogue

NEEDED: Final = ("user", "type", "listing_id", "at")
COLUMNS: Final = ("event_id", *NEEDED)


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
    kinds: Integers = of_codes[stored.kinds]
    events = Events.ordered(
        stored.users[is_known],
        np.asarray(rows, np.int64)[is_known],
        kinds[is_known],
        stored.at[is_known],
    )
    return ReadEvents(events, int((~is_known).sum()))


def events_of_file(path: Path, catalogue: StoredCatalogue) -> ReadEvents:
    """The events of a CSV, or NDJSON, file with the fields of `POST /v1/events`.

    Raises `InvalidInput` where it can't be read, or lacks a field.
    """
    table = _table(path)
    rows = pd.Index(catalogue.names).get_indexer(pd.Index(table["listing_id"].fillna("")))
    if len(rows) and (rows < 0).all():
        # Ids are UUIDs, in any of their spellings.
        rows = pd.Index(catalogue.names).get_indexer(
            pd.Index(table["listing_id"].fillna("").str.strip().str.lower())
        )
    of_name = {kind.value: number for number, kind in enumerate(KINDS)}
    kinds = table["type"].map(of_name)
    at = pd.to_datetime(table["at"], utc=True, format="ISO8601", errors="coerce")
    users, _ = pd.factorize(table["user"], sort=True)
    is_valid = (kinds.notna() & at.notna() & (users >= 0)).to_numpy(np.bool_)
    is_known = np.asarray(rows >= 0)
    repeated = _repeated(table) & is_valid
    kept = is_valid & is_known & ~repeated
    return ReadEvents(
        Events.ordered(
            np.asarray(users, np.int64)[kept],
            np.asarray(rows, np.int64)[kept],
            kinds[kept].to_numpy(np.int64),
            _milliseconds(at[kept]),
        ),
        unknown=int((is_valid & ~is_known).sum()),
        invalid=int((~is_valid).sum()),
        repeated=int((repeated & is_known).sum()),
    )


def _table(path: Path) -> pd.DataFrame:
    strings = dict.fromkeys(COLUMNS, pa.string())
    try:
        if _is_json(path):
            table = pa.json.read_json(
                path,
                parse_options=pa.json.ParseOptions(
                    explicit_schema=pa.schema(list(strings.items())),
                    unexpected_field_behavior="ignore",
                ),
            )
        else:
            table = pa.csv.read_csv(
                path,
                convert_options=pa.csv.ConvertOptions(
                    column_types=strings, strings_can_be_null=True, null_values=[""]
                ),
            )
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"{path} can't be read as events: {_sentence(error)}") from error
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise InvalidInput(f"{path} has no column {', '.join(missing)}.")
    kept: Sequence[str] = [name for name in COLUMNS if name in table.column_names]
    frame: pd.DataFrame = table.select(kept).to_pandas()
    return frame


def _is_json(path: Path) -> bool:
    """Whether its first character begins an object."""
    with path.open("rb") as file:
        return file.read(1_000).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _sentence(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."


def _repeated(table: pd.DataFrame) -> Mask:
    if "event_id" not in table.columns:
        return np.zeros(len(table), np.bool_)
    ids = table["event_id"]
    return (ids.duplicated() & ids.notna()).to_numpy(np.bool_)


def _milliseconds(at: "pd.Series[pd.Timestamp]") -> Integers:
    return np.asarray(at.dt.as_unit("ms").astype(np.int64), np.int64)
