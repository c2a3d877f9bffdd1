"""The recommendation job: a page of what a user would open next, with why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from db.events.history import last_event
from db.jobs.claiming import Claim
from models.columns.columns import Columns
from models.domain.errors import CursorExpired
from models.domain.job_payloads import RecommendationPayload
from models.domain.recommendations.cursors import MAX_DEPTH, Listed, RecommendationCursor
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.options import RankPart, RankWeights
from models.domain.types import EncoderSpec
from models.index.photo_index import PhotoIndex
from models.recommending.recommend import Recommended, Request, recommend
from models.recommending.sources import Vector
from models.recommending.whitening import Whitening
from workers.recommending.copies import copies_of
from workers.recommending.history import History, history_of
from workers.recommending.sources import Audience, Catalogue, CatalogueSources, GivenSources
from workers.search.retrieval import ANY_ACTIVE
from workers.search.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True)
class RecommendTools:
    """What recommendations are made with.

    `index`, which is not there for what nobody has looked at, and `columns`, if there are some, are
    in step with `session`.
    """

    session: Session
    spec: EncoderSpec
    encoder_id: int
    index: PhotoIndex | None
    columns: Columns | None
    whitening: Whitening | None
    watch: Stopwatch


class LedBy(NamedTuple):
    """The listing that led to another, and what the user did with it; None for the page's own."""

    listing_id: UUID
    kind: EventKind | None


@dataclass(frozen=True, slots=True)
class Led:
    """A recommended listing, what led to it, and the photo that it is shown by.

    `similarity` is its cosine with what led to it, None where nothing did or nothing is known.
    """

    recommended: Recommended
    because: LedBy | None
    photo_id: int | None
    similarity: float | None


@dataclass(frozen=True, slots=True)
class RecommendedPage:
    """The listings of a page, and the cursor of the next one if there are more.

    `by_look` says whether the encoder and the index had a part in it.
    """

    listings: Sequence[Led]
    cursor: str | None
    by_look: bool


def needs_index(payload: RecommendationPayload) -> bool:
    """Whether there is anything that listings could look like."""
    return payload.user is not None or payload.listing_id is not None


def recommend_page(
    claim: Claim, payload: RecommendationPayload, tools: RecommendTools
) -> RecommendedPage:
    """The page that is asked for.

    Raises CursorExpired where it continues one that was made with another encoder, InvalidInput for
    a malformed cursor, and Unavailable where columns are needed and not there.
    """
    return _Recommendation(claim, payload, tools).page()


class _Recommendation:
    """A recommendation, as of the moment when its first page was asked for."""

    def __init__(self, claim: Claim, payload: RecommendationPayload, tools: RecommendTools) -> None:
        self._claim = claim
        self._payload = payload
        self._tools = tools
        self._cursor = _cursor_of(payload, tools.spec)
        session, cursor = tools.session, self._cursor
        self._now = claim.created_at if cursor is None else cursor.now
        self._last_event = last_event(session) if cursor is None else cursor.last_event
        self._history = History()
        if payload.user_key is not None:
            self._history = history_of(
                session, payload.user_key, self._last_event, exclude_seen=payload.exclude_seen
            )
        # Nothing looks like what somebody did who did nothing.
        looks = payload.listing_id is not None or self._history.touches
        self._index = tools.index if looks else None
        tools.watch.lap("history")
        self._never = self._history.never | self._excluded()

    def page(self) -> RecommendedPage:
        if self._cursor is None:
            return self._first_page()
        return self._next_page(self._cursor)

    def _excluded(self) -> set[UUID]:
        """What the request leaves out: the item page's own listing, and its copies."""
        payload, index = self._payload, self._index
        excluded = set(payload.exclude)
        if payload.listing_id is not None:
            excluded.add(payload.listing_id)
            if index is not None:
                excluded |= copies_of(self._tools.session, index, payload.listing_id)
        return excluded

    def _first_page(self) -> RecommendedPage:
        wanted = self._payload.filter or ANY_ACTIVE
        sources = CatalogueSources(self._catalogue, self._audience, wanted)
        found = self._found(sources)
        own = sources.own([one.listing_id for one in found])
        if own:
            # All have one seller: without these, there are others instead.
            if wanted.exclude_seller is None:
                wanted = replace(wanted, exclude_seller=next(iter(own.values())))
            self._never |= own.keys()
            sources = CatalogueSources(self._catalogue, self._audience, wanted)
            found = self._found(sources)
            own = sources.own([one.listing_id for one in found])
            found = [one for one in found if one.listing_id not in own]
        self._tools.watch.lap("recommend")
        shown = found[: self._payload.limit]
        page = self._shown(shown, sources)
        if len(found) == len(shown):
            return page
        facts = sources.facts([one.listing_id for one in found])
        order = tuple(
            Listed(facts[one.listing_id].number, led=one.because is not None) for one in found
        )
        return replace(page, cursor=self._cursor_to(order, len(shown)))

    def _found(self, sources: CatalogueSources) -> list[Recommended]:
        return list(islice(recommend(self._request, sources, self._options), MAX_DEPTH))

    def _next_page(self, cursor: RecommendationCursor) -> RecommendedPage:
        """The next listings of the first page's order that may still be recommended."""
        wanted = self._payload.filter or ANY_ACTIVE
        sources = GivenSources(self._catalogue, self._audience, wanted, cursor.order)
        places = [
            place
            for place in range(cursor.passed, len(cursor.order))
            if sources.at(place) is not None
        ]
        chosen = places[: self._payload.limit]
        page = self._of_places(sources, chosen)
        if len(places) == len(chosen):
            return page
        return replace(page, cursor=self._cursor_to(cursor.order, chosen[-1] + 1))

    def _of_places(self, sources: GivenSources, places: Sequence[int]) -> RecommendedPage:
        if not places:
            return self._shown([], sources)
        # With those before, for whom sellers and looks have their turns.
        sources.give(places[-1] + 1)
        ranked = {one.listing_id: one for one in recommend(self._request, sources, self._options)}
        self._tools.watch.lap("recommend")
        chosen = [sources.at(place) for place in places]
        return self._shown([ranked[one] for one in chosen if one in ranked], sources)

    @property
    def _catalogue(self) -> Catalogue:
        tools = self._tools
        return Catalogue(
            tools.session, tools.encoder_id, self._index, tools.columns, tools.whitening
        )

    @property
    def _audience(self) -> Audience:
        return Audience(self._now, self._payload.user_key, frozenset(self._never))

    @property
    def _request(self) -> Request:
        payload = self._payload
        return Request(
            self._now, self._history.touches, payload.listing_id, payload.near, self._never
        )

    @property
    def _options(self) -> RecommendOptions:
        payload, rank = self._payload, self._payload.rank
        options = RecommendOptions(
            weights=rank.weights, half_km=rank.half_km, half_days=rank.half_days
        )
        if payload.diversity is None:
            return options
        return replace(options, diversity=payload.diversity)

    def _cursor_to(self, order: tuple[Listed, ...], passed: int) -> str:
        fingerprint = None if self._index is None else self._tools.spec.fingerprint
        return RecommendationCursor(
            self._claim.job_id, fingerprint, self._now, self._last_event, passed, order
        ).encode()

    def _shown(self, listings: Sequence[Recommended], sources: CatalogueSources) -> RecommendedPage:
        page_id = self._payload.listing_id
        because = [_led_by(one, self._options.weights, page_id) for one in listings]
        ids = {one.listing_id for one in listings}
        photos = sources.photos_of(ids)
        vectors = sources.vectors(ids.union(one.listing_id for one in because if one is not None))
        led = [
            Led(
                one,
                reason,
                photos.get(one.listing_id),
                _cosine(vectors.get(one.listing_id), reason and vectors.get(reason.listing_id)),
            )
            for one, reason in zip(listings, because, strict=True)
        ]
        return RecommendedPage(led, None, by_look=self._index is not None)


def _led_by(one: Recommended, weights: RankWeights, page_id: UUID | None) -> LedBy | None:
    """What led to a listing; that it is like the page's, where this counts most."""
    if one.because is not None:
        return LedBy(one.because.listing_id, one.because.kind)
    counts = {part: weights.of(part) * value for part, value in one.reasons.items()}
    if page_id is None or not counts or max(counts, key=counts.__getitem__) != RankPart.SIMILARITY:
        return None
    return LedBy(page_id, None)


def _cosine(one: Vector | None, other: Vector | None) -> float | None:
    if one is None or other is None:
        return None
    # Rounding can carry the product of two unit vectors just past 1.
    return float(np.clip(one @ other, -1.0, 1.0))


def _cursor_of(payload: RecommendationPayload, spec: EncoderSpec) -> RecommendationCursor | None:
    """The cursor. Raises CursorExpired if its first page was made with another encoder."""
    if payload.cursor is None:
        return None
    cursor = RecommendationCursor.decode(payload.cursor)
    if cursor.fingerprint is not None and cursor.fingerprint != spec.fingerprint:
        raise CursorExpired("Photos are compared by another encoder since: ask again.")
    return cursor
