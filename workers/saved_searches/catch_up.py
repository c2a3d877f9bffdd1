"""What is to be done about saved searches, beside what embed jobs do when they end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from db.saved_searches.progress import is_behind
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import Unavailable
from models.encoders.encoder import Encoder
from workers.saved_searches.embedding import embed_saved_searches
from workers.saved_searches.matching import SavedSearchMatcher

EMBEDDED_AT_ONCE: Final = 32
CHANGES_AT_ONCE: Final = 50
"""In one transaction, which on SQLite keeps other writers waiting."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """How many saved searches were embedded, and how many changed listings were matched.

    `unavailable` is why others could not be embedded now, if there are any.
    """

    embedded: int = 0
    listings: int = 0
    unavailable: Unavailable | None = None

    def __add__(self, other: "CaughtUp") -> "CaughtUp":
        embedded, listings = self.embedded + other.embedded, self.listings + other.listings
        return CaughtUp(embedded, listings, other.unavailable)

    def __bool__(self) -> bool:
        return bool(self.embedded or self.listings)


def catch_up(
    database: Database,
    store: PhotoStore,
    encoders: Mapping[int, Encoder],
    matcher: SavedSearchMatcher,
) -> CaughtUp:
    """Embed the next saved searches, by encoders by id, and match the next changed listings.

    As many as delay no job much.
    """
    saved = embed_saved_searches(database, store, encoders, EMBEDDED_AT_ONCE)
    with database.read() as session:
        if not is_behind(session):
            return CaughtUp(saved.count, 0, saved.unavailable)
    with database.write() as session:
        matched = matcher.match_changed(session, CHANGES_AT_ONCE)
    return CaughtUp(saved.count, matched, saved.unavailable)
