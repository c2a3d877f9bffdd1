"""All events as arrays, for evaluation and training. Needs numpy: the API never imports this."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Integer, select, type_coerce
from sqlalchemy.orm import Session

from db.events.tables import Event

ROWS_AT_ONCE: Final = 50_000

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class EventColumns:
    """m stored events, in the order in which they were stored.

    `users` (m,) number the users from 0 in order of their keys, `listings` (m,) are listings'
    numbers, `kinds` (m,) stored codes (`db.events.tables`), `at` (m,) milliseconds since 1970, UTC.
    """

    users: Integers
    listings: Integers
    kinds: Integers
    at: Integers


_ALL: Final = select(
    Event.user_key,
    Event.listing_number,
    type_coerce(Event.kind, Integer),
    type_coerce(Event.at, BigInteger),
).order_by(Event.number)


def all_events(session: Session) -> EventColumns:
    """Every event that is stored: about 40 bytes of memory each."""
    numbers: dict[bytes, int] = {}
    batches = [_batch(rows, numbers) for rows in _streamed(session)]
    columns = np.concatenate([np.empty((0, 4), np.int64), *batches])
    # From the order in which keys were met to the order of keys.
    order = np.empty(len(numbers), np.int64)
    order[[numbers[key] for key in sorted(numbers)]] = np.arange(len(numbers))
    users = order[columns[:, 0]] if len(columns) else columns[:, 0]
    return EventColumns(users, columns[:, 1], columns[:, 2], columns[:, 3])


_Row = tuple[bytes, int, int, int]


def _streamed(session: Session) -> Iterator[list[_Row]]:
    # By the connection: a session makes each row once more.
    result = session.connection().execute(
        _ALL, execution_options={"stream_results": True, "yield_per": ROWS_AT_ONCE}
    )
    for rows in result.partitions():
        yield [(row[0], row[1], row[2], row[3]) for row in rows]


def _batch(rows: list[_Row], numbers: dict[bytes, int]) -> Integers:
    keys, listings, kinds, at = zip(*rows, strict=True)
    users = [numbers.setdefault(bytes(key), len(numbers)) for key in keys]
    return np.array([users, listings, kinds, at], np.int64).T
