"""Co-occurrence: which listings are touched by those who touch a listing. Read when asked.

Of each listing the newest touches, of each of their users the newest touches: as many rows are read
whatever the number of events. What fewer than `popularity.FLOOR` users have in common is nothing.
"""

import json
from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.events import popularity
from db.statements import is_postgresql

TOUCHES_OF_LISTING: Final = 30
TOUCHES_OF_USER: Final = 30
"""The newest touches that are read of a listing, and of each user who made them."""


class Together(NamedTuple):
    """A listing that `users` distinct users have touched who have touched `listing_number`."""

    listing_number: int
    other: int
    users: int


# Without LATERAL, what is read of each listing and user is a list in JSON: only so SQLite stops
# after the newest.
_SQLITE: Final = text("""
WITH touched AS (
    SELECT DISTINCT asked.value AS listing_number, events.user_key
    FROM json_each(:listings) AS asked
    CROSS JOIN json_each((
        SELECT json_group_array(number) FROM (
            SELECT number FROM events
            WHERE listing_number = asked.value AND kind >= 2
            ORDER BY at DESC, user_key DESC, kind DESC
            LIMIT :of_listing
        )
    )) AS newest
    CROSS JOIN events ON events.number = newest.value
    WHERE events.user_key != :besides
)
SELECT touched.listing_number, other.value AS other, count(DISTINCT touched.user_key) AS users
FROM touched
CROSS JOIN json_each((
    SELECT json_group_array(listing_number) FROM (
        SELECT listing_number FROM events
        WHERE user_key = touched.user_key AND kind >= 2
        ORDER BY at DESC, kind DESC, listing_number DESC
        LIMIT :of_user
    )
)) AS other
WHERE other.value != touched.listing_number
GROUP BY touched.listing_number, other.value
HAVING count(DISTINCT touched.user_key) >= :floor
ORDER BY users DESC, other, touched.listing_number
LIMIT :count
""")
_POSTGRESQL: Final = text("""
WITH touched AS MATERIALIZED (
    SELECT DISTINCT asked.listing_number, newest.user_key
    FROM unnest(CAST(:listings AS bigint[])) AS asked (listing_number)
    CROSS JOIN LATERAL (
        SELECT user_key FROM events
        WHERE listing_number = asked.listing_number AND kind >= 2
        ORDER BY at DESC, user_key DESC, kind DESC
        LIMIT :of_listing
    ) AS newest
    WHERE newest.user_key != :besides
)
SELECT touched.listing_number, newest.listing_number AS other,
    count(DISTINCT touched.user_key) AS users
FROM touched
CROSS JOIN LATERAL (
    SELECT listing_number FROM events
    WHERE user_key = touched.user_key AND kind >= 2
    ORDER BY at DESC, kind DESC, listing_number DESC
    LIMIT :of_user
) AS newest
WHERE newest.listing_number != touched.listing_number
GROUP BY touched.listing_number, newest.listing_number
HAVING count(DISTINCT touched.user_key) >= :floor
ORDER BY users DESC, other, touched.listing_number
LIMIT :count
""")


def touched_together(
    session: Session, listing_numbers: Collection[int], count: int, besides: bytes = b""
) -> list[Together]:
    """The listings most often touched together with these, most users first, `count` at most.

    The user with the key `besides`, who asks, is not counted.
    """
    numbers = sorted(set(listing_numbers))
    on_postgresql = is_postgresql(session)
    rows = session.execute(
        _POSTGRESQL if on_postgresql else _SQLITE,
        {
            "listings": numbers if on_postgresql else json.dumps(numbers),
            "besides": besides,
            "of_listing": TOUCHES_OF_LISTING,
            "of_user": TOUCHES_OF_USER,
            "floor": popularity.FLOOR,
            "count": count,
        },
    )
    return [Together(*row) for row in rows]
