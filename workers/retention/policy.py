"""How long what is kept."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """For how long each kind is kept, from when it is of no use to anybody else.

    `jobs` from their end on, with what they were asked and have answered; `events` from their own
    time; `deleted_listings` with all that belongs to them; `retired_encoders`' vectors; `audit`
    with the notes that something was erased; `places` from when a geocoder was asked.
    `generations` are so many of each encoder's. `shared_index` says that the index is a server's.
    """

    jobs: timedelta = timedelta(days=30)
    events: timedelta = timedelta(days=180)
    deleted_listings: timedelta = timedelta(days=30)
    retired_encoders: timedelta = timedelta(days=30)
    audit: timedelta = timedelta(days=365)
    places: timedelta = timedelta(days=365)
    generations: int = 3
    shared_index: bool = False
