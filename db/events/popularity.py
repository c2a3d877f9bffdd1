"""How popular listings are: counted from events, written in the transaction that changes those.

The popularity of a listing is the sum, over the distinct users who have touched it, of the weight
of what each did, halved every `HALF_LIFE` since, by that touch which counts most: an exponentially
decayed count. Only its newest touches are counted. What fewer than `FLOOR` users have touched has
no row, so that no answer tells what one of them did. All rows can be made again from events.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from math import exp2, fsum, log2
from typing import Final, NamedTuple

from sqlalchemy import Integer, bindparam, delete, select, text
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
NEWEST: Final = 200
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
    "ORDER BY at DESC, user_key DESC, kind DESC LIMIT :newest) AS newest"
)


class Popular(NamedTuple):
    """A popular listing: the decayed sum, and the users that it is of."""

    listing_number: int
    popularity: float
    users: int


class _Touch(NamedTuple):
    listing_number: int
    user_key: bytes
    kind: int
    at: int


def recount(session: Session, listing_numbers: Collection[int]) -> None:
    """Write the popularity of these listings, as of the events that are there now."""
    for chunk in chunks(sorted(listing_numbers)):
        counted = _count(_newest_touches(session, chunk))
        rows = [
            {"listing_number": number, "users": users, "score": score}
            for number, (users, score) in sorted(counted.items())
        ]
        gone = [number for number in chunk if number not in counted]
        if gone:
            session.execute(_DELETE, {"listings": gone})
        insert_or_update(
            session, ListingPopularity, rows, key=["listing_number"], updating=["users", "score"]
        )


_DELETE = (
    delete(ListingPopularity)
    .where(ListingPopularity.listing_number.in_(bindparam("listings", expanding=True)))
    .execution_options(synchronize_session=False)
)


def _newest_touches(session: Session, listings: Sequence[int]) -> Iterator[_Touch]:
    if is_postgresql(session):
        parameters = {"listings": list(listings), "newest": NEWEST}
        for row in session.execute(_POSTGRESQL_TOUCHES, parameters):
            yield _Touch(row.listing, row.user_key, row.kind, row.at)
        return
    # A thousand short statements of the driver: SQLite has no LATERAL, and SQLAlchemy takes ten
    # times as long to run one.
    cursor = session.connection().connection.cursor()
    for listing in listings:
        for user_key, kind, at in cursor.execute(_SQLITE_TOUCHES, (listing, NEWEST)):
            yield _Touch(listing, user_key, kind, at)
    cursor.close()


def _count(touches: Iterable[_Touch]) -> dict[int, tuple[int, float]]:
    """The users and the score of each listing with enough users."""
    of_listings: dict[int, dict[bytes, float]] = defaultdict(dict)
    for listing, user, kind, at in touches:
        power = _LOG_WEIGHTS[kind] + at / _HALF_LIFE_MS
        of_users = of_listings[listing]
        of_users[user] = max(power, of_users.get(user, power))
    return {
        listing: (len(of_users), _logarithm_of_sum(of_users.values()))
        for listing, of_users in of_listings.items()
        if len(of_users) >= FLOOR
    }


def _logarithm_of_sum(powers: Collection[float]) -> float:
    """log2(Σ 2^power): the sum itself would overflow."""
    greatest = max(powers)
    # fsum: the same events give the same number, in whichever order they were read.
    return greatest + log2(fsum(exp2(power - greatest) for power in powers))


# Built once: every recommendation needs them.
_MOST_POPULAR = (
    select(ListingPopularity)
    .join(Listing, Listing.number == ListingPopularity.listing_number)
    .where(Listing.status == ListingStatus.ACTIVE)
    .order_by(ListingPopularity.score.desc(), ListingPopularity.listing_number.desc())
    .limit(bindparam("count", type_=Integer()))
)
_OF_LISTINGS = select(ListingPopularity).where(
    ListingPopularity.listing_number.in_(bindparam("listings", expanding=True))
)


def most_popular(session: Session, count: int, now: datetime) -> list[Popular]:
    """The most popular active listings, best first."""
    return [_as_of(row, now) for row in session.scalars(_MOST_POPULAR, {"count": count})]


def popularity_of(
    session: Session, listing_numbers: Collection[int], now: datetime
) -> dict[int, Popular]:
    """The popularity of those of the listings that enough users have touched, by number."""
    return {
        row.listing_number: _as_of(row, now)
        for chunk in chunks(listing_numbers)
        for row in session.scalars(_OF_LISTINGS, {"listings": chunk})
    }


def _as_of(row: ListingPopularity, now: datetime) -> Popular:
    popularity = exp2(row.score - milliseconds_of(now) / _HALF_LIFE_MS)
    return Popular(row.listing_number, popularity, row.users)
