"""Put clean listings and their photos into the database, with the jobs that will embed them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.listings import (
    ListingData,
    PhotoData,
    Written,
    category_ids,
    compare_listings,
    ensure_photos,
    set_photos,
    stored_photos,
    upsert_listings,
    with_parents,
)
from db.session import Database
from db.tables import Job
from etl.embed_jobs import EmbedJobs
from etl.images import PreparedPhoto
from etl.sink import IsListed

Prune = Callable[[IsListed], int]
"""Takes out what a feed lists no more, and returns how much that was."""


@dataclass
class Loaded:
    """What a load has written, or would write.

    `categories` and `photos` count new rows, `pruned` listings that were taken out, `queued` photos
    that are to be embedded.
    """

    listings: Written = field(default_factory=Written)
    categories: int = 0
    photos: int = 0
    pruned: int = 0
    queued: int = 0


class Loader:
    """Writes a feed, a transaction at a time. What is already as the feed says is not written."""

    def __init__(
        self,
        database: Database,
        embed_jobs: EmbedJobs,
        *,
        feed: str,
        clock: Callable[[], datetime],
        prune: Prune | None = None,
    ) -> None:
        self.loaded = Loaded()
        self._database = database
        self._embed_jobs = embed_jobs
        self._feed = feed
        self._clock = clock
        self._prune = prune

    def start(self) -> None:
        """Look up what earlier runs have left to be embedded."""
        self._embed_jobs.start()

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Write listings with exactly these photos, in this order, and queue their embedding.

        Listings, photos and jobs are one transaction: accepted means that all of it is stored.
        Without `photos`, those that the listings have stay.
        """
        now = self._clock()
        accepted: list[Job] = []
        new_photos = 0
        with self._database.write() as session:
            new_categories = _unknown_categories(session, listings)
            written = upsert_listings(session, listings, now, feed=self._feed)
            if photos is not None:
                shown = _by_listing(listings, photos)
                new_photos, accepted = self._load_photos(session, shown, now)
        self.loaded.listings += written
        self.loaded.categories += len(new_categories)
        self.loaded.photos += new_photos
        self._embed_jobs.publish(accepted)
        self.loaded.queued = self._embed_jobs.queued

    def end(self, is_listed: IsListed) -> None:
        """Queue what else is to be embedded; take out what the feed lists no more, if asked to."""
        self._embed_jobs.queue_missing()
        self.loaded.queued = self._embed_jobs.queued
        if self._prune is not None:
            self.loaded.pruned = self._prune(is_listed)

    def _load_photos(
        self, session: Session, shown: Mapping[UUID, Sequence[PhotoData]], now: datetime
    ) -> tuple[int, list[Job]]:
        """The number of new photos, and the jobs that will embed those that have no vector."""
        distinct = {photo.sha256: photo for photos in shown.values() for photo in photos}
        known = stored_photos(session, distinct)
        ids = ensure_photos(session, list(distinct.values()), now)
        accepted = self._embed_jobs.accept(session, ids.values())
        set_photos(
            session,
            {
                listing_id: [ids[photo.sha256] for photo in photos]
                for listing_id, photos in shown.items()
            },
        )
        return len(distinct) - len(known), accepted


class Rehearsal:
    """Counts what a `Loader` would write. Reads only."""

    def __init__(self, database: Database, *, feed: str, prune: Prune | None = None) -> None:
        self.loaded = Loaded()
        self._database = database
        self._feed = feed
        self._prune = prune
        self._categories: set[str] = set()
        self._photos: set[str] = set()

    def start(self) -> None:
        """Nothing to prepare."""

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Compare listings and photos with the database."""
        hashes = {photo.data.sha256 for photo in photos or () if photo.data}
        with self._database.read() as session:
            self.loaded.listings += compare_listings(session, listings, feed=self._feed)
            self._categories |= _unknown_categories(session, listings)
            self._photos |= hashes - stored_photos(session, hashes).keys()
        self.loaded.categories = len(self._categories)
        self.loaded.photos = self.loaded.queued = len(self._photos)

    def end(self, is_listed: IsListed) -> None:
        """Count what would be taken out."""
        if self._prune is not None:
            self.loaded.pruned = self._prune(is_listed)


def _by_listing(
    listings: Sequence[ListingData], photos: Sequence[PreparedPhoto]
) -> dict[UUID, list[PhotoData]]:
    """The photos of each listing, also where there are none."""
    shown: dict[UUID, list[PhotoData]] = {listing.id: [] for listing in listings}
    for photo in photos:
        if photo.data is not None:
            shown[UUID(photo.source.listing_id)].append(photo.data)
    return shown


def _unknown_categories(session: Session, listings: Sequence[ListingData]) -> set[str]:
    paths = with_parents(listing.category for listing in listings if listing.category)
    return set(paths) - category_ids(session, paths).keys()
