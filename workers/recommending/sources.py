"""Where the candidates of recommendations come from: the database, the index, and the columns."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from math import ceil
from typing import Final
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from db.catalogue.filters import passing_each
from db.catalogue.listing_photos import photo_ids_shown
from db.catalogue.newest import newest_listings
from db.events.history import listing_ids as ids_of
from db.events.popularity import most_popular, popularity_of
from db.events.together import touched_together
from db.events.users import user_keys
from db.vectors.covers import covers_of
from models.columns.columns import Columns
from models.columns.newest import newest
from models.columns.passing import Passing
from models.domain.errors import NotReady
from models.domain.filters import ListingFilter
from models.domain.recommendations.cursors import Listed
from models.domain.searches.facts import ListingFacts
from models.domain.types import Match
from models.index.photo_index import PhotoIndex
from models.recommending.sources import Together, Vector
from models.recommending.whitening import Whitening
from workers.search.catalogues import facts_of, listings_passing
from workers.search.retrieval import DEFAULT_THRESHOLDS, Page, retrieve

MARGIN: Final = 1.2
"""So many times the photos of which, by their share, as many pass as are wanted."""
MOST_PHOTOS: Final = 2_000
"""Looked at around an interest before those are selected that pass."""
PHOTOS_PER_LISTING: Final = 2
"""That are looked at for each listing where those are rare which may be recommended."""
TOGETHER_WITH: Final = 20
"""Of what was touched, the listings that count most, beside which others are looked for."""
POPULAR_LOOKED_AT: Final = 5_000
"""The most popular listings of all, among which those are looked for that pass a filter."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What listings are recommended from.

    `index` and `columns`, if there are some, are in step with `session`; without an index nothing
    is found by its look. `encoder_id` is whose vectors the index has, `whitening` how they are
    compared.
    """

    session: Session
    encoder_id: int
    index: PhotoIndex | None
    columns: Columns | None
    whitening: Whitening | None


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom listings are recommended to, as of a moment.

    `user` is the user's key, if there is one. `never` are listings that are not recommended.
    """

    now: datetime
    user: bytes | None = None
    never: frozenset[UUID] = frozenset()


class CatalogueSources:
    """The sources of one recommendation: `models.recommending.sources.Sources`.

    They do not name what is never recommended. What was read is kept.
    Raises NotReady for a filter by attributes without columns.
    """

    def __init__(self, catalogue: Catalogue, audience: Audience, wanted: ListingFilter) -> None:
        if wanted.attributes and catalogue.columns is None:
            raise NotReady("The listings have not been read yet whose attributes are asked for.")
        self._session = catalogue.session
        self._catalogue = catalogue
        self._audience = audience
        self._wanted = wanted
        self._passing = self._listings_passing()
        self._facts: dict[UUID, ListingFacts] = {}
        self._photos: dict[UUID, int] = {}

    def photos_of(self, listing_ids: Collection[UUID]) -> dict[UUID, int]:
        """The photo that led to each listing, or else its first; of those that have one."""
        unread = [one for one in listing_ids if one not in self._photos]
        if unread:
            shown = photo_ids_shown(self._session, unread)
            self._photos |= {one: photos[0] for one, photos in shown.items()}
        return {one: self._photos[one] for one in listing_ids if one in self._photos}

    def vectors(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Vector]:
        """The vectors (dimension,) of listings: of the photo that led there, or else the first."""
        index = self._catalogue.index
        if index is None:
            return {}
        photos = self.photos_of(listing_ids)
        ids, vectors = index.vectors_of(np.array(sorted(set(photos.values())), np.int64))
        rows = dict(zip(ids.tolist(), vectors, strict=True))
        found = {one: rows[photo] for one, photo in photos.items() if photo in rows}
        # Of listings that are deleted, and where the first photo shows nothing to compare.
        others = [one for one in listing_ids if one not in found]
        if others:
            covers = covers_of(self._session, self._catalogue.encoder_id, others)
            found |= {one: cover.vector for one, cover in covers.items()}
            self._photos |= {one: cover.photo_id for one, cover in covers.items()}
        return found

    def whitening(self) -> Whitening | None:
        """The map that vectors are compared by."""
        return self._catalogue.whitening

    def facts(self, listing_ids: Collection[UUID]) -> Mapping[UUID, ListingFacts]:
        """What is known of listings, deleted ones too, with their popularity by what users did."""
        unread = [one for one in listing_ids if one not in self._facts]
        if unread:
            self._facts |= self._read_facts(unread)
        # A UUID's hash is made in Python: once for each of a thousand listings.
        read = self._facts.get
        return {one: facts for one in listing_ids if (facts := read(one)) is not None}

    def nearest(self, vectors: Vector, count: int) -> Sequence[Sequence[UUID]]:
        """The listings nearest to each of the vectors (n, dimension), best first.

        Those of so many photos as listings are asked for, or fewer.
        """
        index = self._catalogue.index
        if index is None or not len(vectors):
            return [[] for _ in vectors]
        if self._passing is None:
            return [self._near(index, one, count) for one in vectors]
        search, share = self._photo_search(index)
        photos_each = min(MOST_PHOTOS, max(count, ceil(MARGIN * count / share)))
        near = [list(islice(search(one, expect=photos_each), photos_each)) for one in vectors]
        photos = {match.photo_id for matches in near for match in matches}
        showing = self._passing.listings_of(photos)
        found = [self._shown_by(matches, showing, count) for matches in near]
        return [
            # What passes is rare among the nearest, or the user has had it all.
            self._near(index, vector, count)
            if len(listings) < count // 2 and len(matches) == photos_each
            else listings
            for vector, matches, listings in zip(vectors, near, found, strict=True)
        ]

    def together(self, listing_ids: Sequence[UUID], count: int) -> Sequence[Together]:
        """What the users of these listings touched beside them, but for this one user."""
        # The first count most.
        asked = listing_ids[:TOGETHER_WITH]
        numbers = {facts.number: one for one, facts in self.facts(asked).items()}
        besides = self._audience.user or b""
        rows = touched_together(self._session, list(numbers), count, besides)
        ids = ids_of(self._session, {row.other for row in rows})
        allowed = set(self._that_pass(self._not_never(ids.values())))
        return [
            Together(numbers[row.listing_number], ids[row.other], row.users)
            for row in rows
            if ids.get(row.other) in allowed
        ]

    def popular(self, count: int) -> Sequence[UUID]:
        """The most popular listings, best first."""
        # Some may be left out.
        most = count + len(self._audience.never)
        if self._wanted.narrows:
            most = max(most, POPULAR_LOOKED_AT)
        rows = most_popular(self._session, most, self._audience.now)
        numbers = [row.listing_number for row in rows]
        if self._passing is not None:
            passes = self._passing.by_number()
            # Ids are read of those alone that may be recommended.
            numbers = [one for one in numbers if one < len(passes) and passes[one]]
            numbers = numbers[: count + len(self._audience.never)]
        ids = ids_of(self._session, numbers)
        found = self._not_never(ids[one] for one in numbers if one in ids)
        return (found if self._passing is not None else self._that_pass(found))[:count]

    def fresh(self, count: int) -> Sequence[UUID]:
        """The newest listings, newest first."""
        most = count + len(self._audience.never)
        if self._passing is not None:
            found = newest(self._passing, most)
        else:
            found = newest_listings(self._session, self._wanted, most)
        return self._not_never(found)[:count]

    def own(self, listing_ids: Collection[UUID]) -> dict[UUID, str]:
        """Those of the listings that the user offers, with the name of their seller: the user's."""
        user = self._audience.user
        sellers = {one: its.seller for one, its in self.facts(listing_ids).items() if its.seller}
        if user is None or not sellers:
            return {}
        named = sorted(set(sellers.values()))
        keys = user_keys(self._session, named)
        names = {seller for seller, key in zip(named, keys, strict=True) if key == user}
        return {one: seller for one, seller in sellers.items() if seller in names}

    def _read_facts(self, listing_ids: Sequence[UUID]) -> dict[UUID, ListingFacts]:
        columns = self._catalogue.columns
        read = facts_of(self._session, columns, listing_ids)
        gone = [one for one in listing_ids if one not in read]
        if gone and columns is not None:
            read |= facts_of(self._session, None, gone)
        numbers = [facts.number for facts in read.values()]
        counted = popularity_of(self._session, numbers, self._audience.now)
        return {
            one: facts._replace(
                popularity=counted[facts.number].popularity if facts.number in counted else None
            )
            for one, facts in read.items()
        }

    def _listings_passing(self) -> Passing | None:
        columns = self._catalogue.columns
        if columns is None:
            return None
        return listings_passing(self._session, columns, self._wanted)

    def _photo_search(self, index: PhotoIndex) -> tuple[Callable[..., Iterator[Match]], float]:
        """How photos are looked for: among those that pass, if they are few, or among all.

        And the share of what is found that passes.
        """
        if self._passing is None or not self._wanted.narrows:
            return index.matches, 1.0
        photos = self._passing.photos()
        if len(photos) > DEFAULT_THRESHOLDS.select_up_to:
            return index.matches, min(1.0, len(photos) / max(1, index.rows))
        return partial(index.only, photo_ids=photos), 1.0

    def _shown_by(
        self, matches: Sequence[Match], showing: Mapping[int, Sequence[UUID]], count: int
    ) -> list[UUID]:
        """The first listings that show these photos; the photo of each is kept."""
        never = self._audience.never
        found: dict[UUID, int] = {}
        for match in matches:
            for listing_id in showing.get(match.photo_id, ()):
                if listing_id not in never:
                    found.setdefault(listing_id, match.photo_id)
            if len(found) >= count:
                break
        self._photos = found | self._photos
        return list(found)[:count]

    def _near(self, index: PhotoIndex, vector: Vector, count: int) -> list[UUID]:
        at_once = PHOTOS_PER_LISTING * count
        page = Page(count, None, self._audience.never, self._wanted, expect=at_once)
        found = retrieve(self._session, index, [vector], page, passing=self._passing).listings
        self._photos = {one.listing_id: one.photo_id for one in found} | self._photos
        return [one.listing_id for one in found]

    def _not_never(self, listing_ids: Iterable[UUID]) -> list[UUID]:
        return [one for one in listing_ids if one not in self._audience.never]

    def _that_pass(self, listing_ids: Sequence[UUID]) -> list[UUID]:
        if self._passing is not None:
            return self._passing.those_of(listing_ids)
        (passing,) = passing_each(self._session, [self._wanted], listing_ids)
        return [one for one in listing_ids if one in passing]


class GivenSources(CatalogueSources):
    """The sources where the candidates are given: an order of which a page is cut.

    They read whatever is known of a listing as the others do, but find no others.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        audience: Audience,
        wanted: ListingFilter,
        order: Sequence[Listed],
    ) -> None:
        super().__init__(catalogue, audience, wanted)
        ids = ids_of(self._session, [one.number for one in order])
        self._order = [(ids.get(one.number), one.led) for one in order]
        there = [one for one, _ in self._order if one is not None]
        own = self.own(there)
        allowed = self._that_pass(self._not_never(there))
        self._allowed = {one for one in allowed if one not in own}
        self._given: list[tuple[UUID, bool]] = []

    def at(self, place: int) -> UUID | None:
        """The listing at a place of the order; None if it may not be recommended any more."""
        listing_id, _ = self._order[place]
        return listing_id if listing_id in self._allowed else None

    def give(self, end: int) -> None:
        """Let the candidates be those before a place of the order, `end`."""
        self._given = [(one, led) for one, led in self._order[:end] if one is not None]

    def nearest(self, vectors: Vector, count: int) -> Sequence[Sequence[UUID]]:
        """What was led to, for each of the vectors."""
        del count
        led = [one for one, is_led in self._given if is_led]
        return [led for _ in vectors]

    def together(self, listing_ids: Sequence[UUID], count: int) -> Sequence[Together]:
        """What is given, beside what was touched."""
        given = {one for one, _ in self._given}
        pairs = super().together(listing_ids, count)
        return [pair for pair in pairs if pair.listing_id in given]

    def popular(self, count: int) -> Sequence[UUID]:
        """All that is given."""
        del count
        return [one for one, _ in self._given]

    def fresh(self, count: int) -> Sequence[UUID]:
        """Nothing more."""
        del count
        return []
