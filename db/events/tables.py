"""The tables of events, and of what is derived from them.

Rows are small and many: times are milliseconds, kinds small integers, and every index that is read
covers what is read of it. They name listings by number without a foreign key, as saved searches do.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    false,
    literal_column,
    text,
    type_coerce,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from db.tables import Base, BigId
from models.domain.recommendations.events import EventKind

KIND_CODES: Final = {
    EventKind.HIDDEN: 0,
    EventKind.IMPRESSION: 1,
    EventKind.VIEWED: 2,
    EventKind.SAVED: 3,
    EventKind.CONTACTED: 4,
    EventKind.PURCHASED: 5,
}
"""How kinds are stored. From `viewed` on they are touches: they show an interest."""
KINDS: Final = {code: kind for kind, code in KIND_CODES.items()}
TOUCHES: Final = frozenset(kind for kind, code in KIND_CODES.items() if code >= 2)  # noqa: PLR2004
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds_of(at: datetime) -> int:
    """The milliseconds from the epoch until this time, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def time_of(milliseconds: int) -> datetime:
    """The time so many milliseconds after the epoch, in UTC."""
    return _EPOCH + milliseconds * _MILLISECOND


class Milliseconds(TypeDecorator[datetime]):
    """A time as milliseconds since the epoch, rounded down: in SQLite a quarter of its text."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive times."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone can't be stored")
        return milliseconds_of(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """The time in UTC."""
        del dialect
        return None if value is None else time_of(value)


class KindCode(TypeDecorator[EventKind]):
    """A kind as its small integer."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: EventKind | None, dialect: Dialect) -> int | None:
        """The code of a kind."""
        del dialect
        return None if value is None else KIND_CODES[value]

    def process_result_value(self, value: int | None, dialect: Dialect) -> EventKind | None:
        """The kind of a code."""
        del dialect
        return None if value is None else KINDS[value]


_TOUCH: Final = text("kind >= 2")
_SHOWN: Final = text("kind = 1")
_HIDDEN: Final = text("kind = 0")
_AGEING: Final = text("kind > 0")


class Event(Base):
    """What a user did with a listing, or was shown.

    `number` grows in the order in which events were stored. `event_key` and `user_key` are as
    `db.events.users` makes them. `search_id` and `position` say which answer showed the listing,
    and where in it, from 1; `of_search` whether that was the answer to a search, as its job is not
    kept as long.
    """

    __tablename__ = "events"
    __table_args__ = (
        # Each event is in one of the indexes by user.
        Index(
            "ix_events_touches_of_user",
            *("user_key", "at", "kind", "listing_number"),
            sqlite_where=_TOUCH,
            postgresql_where=_TOUCH,
            postgresql_include=["number"],
        ),
        Index(
            "ix_events_shown_to_user",
            *("user_key", "at", "listing_number", "kind"),
            sqlite_where=_SHOWN,
            postgresql_where=_SHOWN,
            postgresql_include=["number"],
        ),
        Index(
            "ix_events_hidden_by_user",
            *("user_key", "at", "listing_number", "kind"),
            sqlite_where=_HIDDEN,
            postgresql_where=_HIDDEN,
            postgresql_include=["number"],
        ),
        Index(
            "ix_events_touches_of_listing",
            *("listing_number", "at", "user_key", "kind"),
            sqlite_where=_TOUCH,
            postgresql_where=_TOUCH,
        ),
        # What goes when it is old enough; hidden listings stay hidden as long as they are for sale.
        Index("ix_events_ageing", "at", sqlite_where=_AGEING, postgresql_where=_AGEING),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_key: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_key: Mapped[bytes] = mapped_column(LargeBinary)
    listing_number: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[EventKind] = mapped_column(KindCode)
    at: Mapped[datetime] = mapped_column(Milliseconds)
    search_id: Mapped[UUID | None]
    position: Mapped[int | None]
    of_search: Mapped[bool] = mapped_column(default=False, server_default=false())


IS_TOUCH: Final = type_coerce(Event.kind, Integer) >= literal_column("2")
"""The condition of the indexes of touches, as they have it: a bound value would not match."""
IS_SHOWN: Final = type_coerce(Event.kind, Integer) == literal_column("1")
IS_HIDDEN: Final = type_coerce(Event.kind, Integer) == literal_column("0")
IS_AGEING: Final = type_coerce(Event.kind, Integer) > literal_column("0")


class ListingPopularity(Base):
    """How popular a listing is that enough users have touched. Derived: see `db.events.popularity`.

    `score` is the binary logarithm of a sum over users that all decays alike, as of a fixed time:
    so the order by it needs no update as time passes.
    """

    __tablename__ = "listing_popularity"

    listing_number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    users: Mapped[int]
    score: Mapped[float] = mapped_column(index=True)
