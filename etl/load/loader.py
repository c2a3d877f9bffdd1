"""Load clean listings and their photos into the database, and queue the embedding of photos."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.catalogue.categories import category_ids, with_parents
from db.catalogue.listing_photos import (
    PhotoData,
    ensure_photos,
    photos_shown,
    set_photos,
    stored_photos,
)
from db.catalogue.listings import (
    ListingData,
    Upserted,
    Written,
    compare_listings,
    feed_size,
    upsert_listings,
)
from db.session import Database
from db.tables import Job
from etl.load.delisting import count_gone, prune
from etl.load.sink import IsListed
from etl.photos.prepare import PreparedPhoto
from workers.queue.embed_jobs import EmbedJobs

# A feed that lost more than this share is more likely truncated than sold out.
USUAL_LOSS = 0.5


@dataclass
class Loaded:
    """What a load has written, or would write.

    A listing whose photos changed counts as updated. `categories` and `photos` count new rows,
    `pruned` removed listings, `queued` photos that are to be embedded. `problems` and `notes` are
    sentences.
    """

    listings: Written = field(default_factory=Written)
    categories: int = 0
    photos: int = 0
    pruned: int = 0
    queued: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The feed's name; whether to prune its missing listings, and even if that is most of them.

    `former_feed` is what an earlier release called the feed, if not the same, and `last_source`
    where the feed of this name was last seeded from, if that is known.
    """

    feed: str
    prune: bool = False
    force: bool = False
    former_feed: str = ""
    last_source: str = ""


class _LossGuard:
    """Refuses an implausible loss of a feed's listings or photos, by its size before the load."""

    def __init__(
        self,
        database: Database,
        options: LoadOptions,
        loaded: Loaded,
        say: Callable[[str], None],
    ) -> None:
        self._database = database
        self._options = options
        self._loaded = loaded
        self._say = say
        self._listings = 0
        self.photos_stay = False

    def start(self, images: int | None) -> None:
        """Measure the feed before it is loaded."""
        with self._database.read() as session:
            self._listings, photos = feed_size(session, self._options.feed)
        if images is not None and self._implausible(photos - images, photos):
            self.photos_stay = True
            self._loaded.problems.append(
                f"The feed lists {images:,} images, its listings have {photos:,} photos. Photos "
                "were left as they are: if that is right, seed again with --force."
            )

    def may_prune(self, is_listed: IsListed) -> bool:
        """Whether to prune listings, which is said first; an implausible number of them is reported
        as a problem."""
        if not self._options.prune:
            return False
        self._note_former(is_listed)
        gone = count_gone(self._database, self._options.feed, is_listed)
        if self._implausible(gone, self._listings):
            self._loaded.problems.append(
                f"{gone:,} of {self._listings:,} listings are not in the feed any more. None was "
                "taken out: if that is right, prune again with --force."
            )
            return False
        if gone > 0:
            self._say(_taken_out(gone, self._options))
        return gone > 0

    def _note_former(self, is_listed: IsListed) -> None:
        """Say what an earlier release may have left: whose it is can't be known."""
        former = self._options.former_feed
        if not former or former == self._options.feed:
            return
        left = count_gone(self._database, former, is_listed)
        if left:
            self._loaded.notes.append(
                f"{left:,} listings of feed {former!r} are not in this feed. An earlier release "
                f"called this feed so, and maybe others too: they stay. If all are of this feed, "
                f"take them out with --prune --feed {shlex.quote(former)}."
            )

    def _implausible(self, lost: int, of: int) -> bool:
        return lost > of * USUAL_LOSS and not self._options.force


def _taken_out(gone: int, options: LoadOptions) -> str:
    last = f" (last seeded from {options.last_source})" if options.last_source else ""
    return f"--prune: {gone:,} listings of feed {options.feed!r}{last} are to be taken out."


class Loader:
    """Writes a feed in one transaction a batch. Unchanged rows are not written."""

    def __init__(
        self,
        database: Database,
        embed_jobs: EmbedJobs,
        options: LoadOptions,
        clock: Callable[[], datetime],
        say: Callable[[str], None],
    ) -> None:
        self.loaded = Loaded()
        self._database = database
        self._embed_jobs = embed_jobs
        self._options = options
        self._clock = clock
        self._guard = _LossGuard(database, options, self.loaded, say)

    def start(self, images: int | None) -> None:
        """Look up the feed's size, and the photos that earlier runs left to be embedded."""
        self._guard.start(images)
        self._embed_jobs.start()

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Write listings with exactly these photos, in this order, and queue their embedding.

        Listings, photos and jobs are one transaction: accepted means that all of it is stored. A
        listing one of whose photos can't be used now keeps those it has, behind the usable ones.
        Without `photos`, those that the listings have stay.
        """
        now = self._clock()
        accepted: list[Job] = []
        new_photos = 0
        rearranged: set[UUID] = set()
        with self._database.write() as session:
            new_categories = _unknown_categories(session, listings)
            upserted = upsert_listings(session, listings, now, feed=self._options.feed)
            if photos is not None and not self._guard.photos_stay:
                shown = _Shown(listings, photos)
                known = stored_photos(session, shown.distinct)
                new_photos = len(shown.distinct.keys() - known.keys())
                ids = ensure_photos(session, list(shown.distinct.values()), now)
                accepted = self._embed_jobs.accept(session, ids.values())
                rearranged = set_photos(
                    session,
                    {
                        listing_id: [ids[photo.sha256] for photo in of_listing]
                        for listing_id, of_listing in shown.by_listing.items()
                    },
                    keep=shown.in_doubt,
                )
        self.loaded.listings += _written(upserted, rearranged)
        self.loaded.categories += len(new_categories)
        self.loaded.photos += new_photos
        self._embed_jobs.submit(accepted)
        self.loaded.queued = self._embed_jobs.queued

    def end(self, is_listed: IsListed) -> None:
        """Queue remaining photos; prune listings that the feed no longer lists, if requested."""
        self._embed_jobs.queue_missing()
        self.loaded.queued = self._embed_jobs.queued
        if self._guard.may_prune(is_listed):
            self.loaded.pruned = prune(
                self._database, self._options.feed, is_listed, clock=self._clock
            )


class DryRunLoader:
    """Counts what a `Loader` would write. Reads only."""

    def __init__(
        self, database: Database, options: LoadOptions, say: Callable[[str], None]
    ) -> None:
        self.loaded = Loaded()
        self._database = database
        self._options = options
        self._guard = _LossGuard(database, options, self.loaded, say)
        self._categories: set[str] = set()
        # Binary digests, to save memory: a first seed may have a million photos.
        self._photos: set[bytes] = set()

    def start(self, images: int | None) -> None:
        """Look up the feed's size."""
        self._guard.start(images)

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Compare listings and photos with the database."""
        rearranged: set[UUID] = set()
        with self._database.read() as session:
            compared = compare_listings(session, listings, feed=self._options.feed)
            self._categories |= _unknown_categories(session, listings)
            if photos is not None and not self._guard.photos_stay:
                shown = _Shown(listings, photos)
                new = shown.distinct.keys() - stored_photos(session, shown.distinct).keys()
                self._photos.update(map(bytes.fromhex, new))
                rearranged = shown.rearranged(photos_shown(session, shown.by_listing))
        self.loaded.listings += _written(compared, rearranged)
        self.loaded.categories = len(self._categories)
        self.loaded.photos = self.loaded.queued = len(self._photos)

    def end(self, is_listed: IsListed) -> None:
        """Count the listings that would be pruned."""
        if self._guard.may_prune(is_listed):
            self.loaded.pruned = count_gone(self._database, self._options.feed, is_listed)


class _Shown:
    """The usable photos of a batch of listings, also of those that have none.

    `in_doubt` are the listings with a photo that can't be used now, which may be temporary.
    """

    def __init__(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto]) -> None:
        self.by_listing: dict[UUID, list[PhotoData]] = {listing.id: [] for listing in listings}
        self.distinct: dict[str, PhotoData] = {}
        self.in_doubt: set[UUID] = set()
        for photo in photos:
            listing_id = UUID(photo.source.listing_id)
            if photo.data is None:
                self.in_doubt.add(listing_id)
            else:
                self.by_listing[listing_id].append(photo.data)
                self.distinct[photo.data.sha256] = photo.data

    def rearranged(self, before: Mapping[UUID, Sequence[str]]) -> set[UUID]:
        """The listings whose photos would change, as `set_photos` changes them."""
        changed: set[UUID] = set()
        for listing_id, photos in self.by_listing.items():
            had = before.get(listing_id, [])
            stated = [photo.sha256 for photo in photos]
            wanted = [*stated, *had] if listing_id in self.in_doubt else stated
            if list(dict.fromkeys(wanted)) != list(had):
                changed.add(listing_id)
        return changed


def _written(upserted: Upserted, rearranged: set[UUID]) -> Written:
    also_updated = len(rearranged & upserted.unchanged)
    written = upserted.written
    return Written(
        written.created, written.updated + also_updated, written.unchanged - also_updated
    )


def _unknown_categories(session: Session, listings: Sequence[ListingData]) -> set[str]:
    paths = with_parents(listing.category for listing in listings if listing.category)
    return set(paths) - category_ids(session, paths).keys()
