"""How popular listings are: counted from events, written in the transaction that changes those.

The popularity of a listing is the sum, over the distinct users who have touched it, of the weight
of what each did, halved every `HALF_LIFE` since, by that touch which counts most: an exponentially
decayed count. Only its newest touches are counted. What fewer than `FLOOR` users have touched has
no row, so that no answer tells what one of them did. All rows can be made again from events.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from math import fsum, log2
from operator import itemgetter
from typing import Final, NamedTuple

from sqlalchemy import Integer, Row, bindparam, delete, select, text
from sqlalchemy.orm import Session

from db.events.tables import KIND_CODES, ListingPopularity, milliseconds_of
from db.statements import chunks, insert_or_update, is_postgresql
from db.tables import Listing
from models.domain.recommendations.events import EventKind
from models.domain.types import ListingStatus

FLOOR: Final = 3
"""The distinct users below whom nothing is told of what they did: of popularity and of
co-occurrence."""
HALF_LIFE: Final = timedelta(days=7)
NEWEST: Final = 100
"""The newest touches of a listing that are counted."""
WEIGHTS: Final = {
    EventKind.VIEWED: 1.0,
    EventKind.SAVED: 3.0,
    EventKind.CONTACTED: 5.0,
    EventKind.PURCHASED: 5.0,
}

_HALF_LIFE_MS: Final = HALF_LIFE / timedelta(milliseconds=1)
# The logarithms, in base 2, by the stored codes of kinds.
_LOG_WEIGHTS: Final = {KIND_CODES[kind]: log2(weight) for kind, weight in WEIGHTS.items()}

_SQLITE_TOUCHES: Final = (
    "SELECT user_key, kind, at FROM events WHERE listing_number = ? AND kind >= 2 "
    "ORDER BY at DESC, user_key DESC, kind DESC LIMIT ?"
)
_POSTGRESQL_TOUCHES: Final = text(
    "SELECT listing, newest.user_key, newest.kind, newest.at "
    "FROM unnest(CAST(:listings AS bigint[])) AS listing CROSS JOIN LATERAL ("
    "SELECT user_key, kind, at FROM events WHERE listing_number = listing AND kind >= 2 "
    "ORDER BY at DESC, user_key DESC, kind DESC LIMIT :newest) AS newest ORDER BY listing"
)


class Popular(NamedTuple):
    """A popular listing: the decayed sum, and the users that it is of."""

    listing_number: int
    popularity: float
    users: int


def recount(session: Session, listing_numbers: Collection[int]) -> None:
    """Write the popularity of these listings, as of the events that are there now."""
    for chunk in chunks(sorted(listing_numbers)):
        rows = [
            {"listing_number": listing, "users": len(powers), "score": _logarithm_of_sum(powers)}
            for listing, powers in _powers_of_users(session, chunk)
            if len(powers) >= FLOOR
        ]
        gone = set(chunk).difference(row["listing_number"] for row in rows)
        if gone:
            session.execute(_DELETE, {"listings": sorted(gone)})
        insert_or_update(
            session, ListingPopularity, rows, key=["listing_number"], updating=["users", "score"]
        )


_DELETE = (
    delete(ListingPopularity)
    .where(ListingPopularity.listing_number.in_(bindparam("listings", expanding=True)))
    .execution_options(synchronize_session=False)
)


def _powers_of_users(
    session: Session, listings: Sequence[int]
) -> Iterator[tuple[int, Collection[float]]]:
    """Of each listing, for each of its users the logarithm of what their best touch counts."""
    if is_postgresql(session):
        parameters = {"listings": list(listings), "newest": NEWEST}
        touches = session.execute(_POSTGRESQL_TOUCHES, parameters)
        for listing, rows in groupby(touches, itemgetter(0)):
            yield listing, _best_of_users((user, kind, at) for _, user, kind, at in rows)
        return
    # A thousand short statements of the driver: SQLite has no LATERAL, and SQLAlchemy takes ten
    # times as long to run one.
    cursor = session.connection().connection.cursor()
    for listing in listings:
        yield listing, _best_of_users(cursor.execute(_SQLITE_TOUCHES, (listing, NEWEST)))
    cursor.close()


def _best_of_users(touches: Iterable[tuple[bytes, int, int]]) -> Collection[float]:
    # Of each batch of events, some ten thousand touches are looked at: nothing is called for one.
    best: dict[bytes, float] = {}
    for user, kind, at in touches:
        power = _LOG_WEIGHTS[kind] + at / _HALF_LIFE_MS
        if user not in best or best[user] < power:
            best[user] = power
    return best.values()


def _logarithm_of_sum(powers: Collection[float]) -> float:
    """log2(Σ 2^power): the sum itself would overflow."""
    greatest = max(powers)
    # fsum: the same events give the same number, in whichever order they were read.
    return greatest + log2(fsum([2.0 ** (power - greatest) for power in powers]))


# Built once: every recommendation needs them.
_STATUS = (
    select(Listing.status)
    .where(Listing.number == ListingPopularity.listing_number)
    .scalar_subquery()
)
_COLUMNS = (ListingPopularity.listing_number, ListingPopularity.users, ListingPopularity.score)
_MOST_POPULAR = (
    select(*_COLUMNS)
    # No join: SQLite would begin with all active listings.
    .where(_STATUS == ListingStatus.ACTIVE)
    .order_by(ListingPopularity.score.desc(), ListingPopularity.listing_number.desc())
    .limit(bindparam("count", type_=Integer()))
)
_OF_LISTINGS = select(*_COLUMNS).where(
    ListingPopularity.listing_number.in_(bindparam("listings", expanding=True))
)


def most_popular(session: Session, count: int, now: datetime) -> list[Popular]:
    """The most popular active listings, best first."""
    return _as_of(session.execute(_MOST_POPULAR, {"count": count}), now)


def popularity_of(
    session: Session, listing_numbers: Collection[int], now: datetime
) -> dict[int, Popular]:
    """The popularity of those of the listings that enough users have touched, by number."""
    return {
        one.listing_number: one
        for chunk in chunks(listing_numbers)
        for one in _as_of(session.execute(_OF_LISTINGS, {"listings": chunk}), now)
    }


def _as_of(rows: Iterable[Row[int, int, float]], now: datetime) -> list[Popular]:
    decayed = milliseconds_of(now) / _HALF_LIFE_MS
    return [Popular(listing, 2.0 ** (score - decayed), users) for listing, users, score in rows]
