"""A page of a ranked search: block after block, each in the order of its candidates' scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_ids_shown
from models.domain.searches.block_cursors import Block, short_hash
from models.domain.searches.facts import ListingFacts
from models.domain.searches.options import (
    DEFAULT_FUSION,
    Diversity,
    FusionMethod,
    Place,
    Ranking,
    RankPart,
    RankWeights,
)
from models.domain.types import ListingMatch
from models.ranking import order
from models.ranking.features import Feature, Wanted, static_features, wanted_categories
from models.ranking.fusion import relevance
from models.ranking.order import NO_DIVERSITY, Ranked, ordered
from workers.search.blocks import Asked, Candidate, candidates_of
from workers.search.catalogues import facts_of
from workers.search.results import Found

LEADERS: Final = 10
"""The best answers, whose categories are wanted where no listing is searched with."""

VectorsOf = Callable[[Sequence[int]], Mapping[int, NDArray[np.float32]]]
"""The vectors of those of the photos that have one."""


@dataclass(frozen=True, slots=True)
class RankOptions:
    """How a search is ranked.

    `liked` are the listings that are searched with: what they cost, and their categories, are
    wanted unless something else is stated. Ages are counted from `now`.
    """

    now: datetime
    ranking: Ranking = field(default_factory=Ranking)
    fusion: FusionMethod = DEFAULT_FUSION
    diversity: Diversity = NO_DIVERSITY
    origin: Place | None = None
    liked: Sequence[UUID] = ()

    @property
    def needs_facts(self) -> bool:
        """Whether anything counts that is read from the database."""
        return self.ranking.weights.ranks or self.diversity.per_seller is not None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page starts: in which block, of which these listings, by short hash, were shown."""

    block: Block = field(default_factory=Block)
    shown: frozenset[bytes] = frozenset()


class RankedPage(NamedTuple):
    """A page, where the next one starts if there are more, and if nothing nearer was missed."""

    listings: list[Found]
    rest: Position | None
    exact: bool


def ranked_page(
    asked: Asked, options: RankOptions, limit: int, position: Position, vectors_of: VectorsOf
) -> RankedPage:
    """The next `limit` listings. Raises what `candidates_of` raises."""
    found: list[Found] = []
    exact = True
    wanted = _wanted(asked, options)
    while True:
        candidates = candidates_of(asked, position.block)
        exact = exact and candidates.exact
        position = replace(position, block=candidates.block)
        block = _Block(asked, candidates.listings, options, wanted, vectors_of)
        for listing in block.after(position.shown):
            if len(found) == limit:
                return RankedPage(found, position, exact)
            found.append(listing)
            position = replace(position, shown=position.shown | {short_hash(listing.listing_id)})
        if candidates.block.is_last:
            return RankedPage(found, None, exact)
        position = Position(candidates.block.next)


def _wanted(asked: Asked, options: RankOptions) -> Wanted:
    """What listings are compared with, as far as the search says it."""
    ranking = options.ranking
    price, currency = ranking.price, ranking.currency
    wanted = Wanted(options.now, None if price is None else float(price), currency, options.origin)
    weights = ranking.weights
    needs_liked = weights.category or (weights.price and price is None)
    if not options.liked or not needs_liked:
        return wanted
    liked = facts_of(asked.session, asked.columns, options.liked).values()
    first = next((one for one in liked if one.price is not None), None)
    if price is None and first is not None:
        wanted = replace(wanted, price=first.price, currency=first.currency)
    return replace(wanted, categories=wanted_categories([one.category for one in liked]))


class _Block:
    """The candidates of a block, and what they are ordered by."""

    def __init__(
        self,
        asked: Asked,
        listings: Sequence[Candidate],
        options: RankOptions,
        wanted: Wanted,
        vectors_of: VectorsOf,
    ) -> None:
        self._asked = asked
        self._options = options
        # Equals are in the order of a plain search.
        self._listings = sorted(listings, key=_place)
        self._facts = self._read_facts() if options.needs_facts else []
        self._photos = self._photos_shown(asked.session)
        features = self._relevance()
        features |= static_features(
            self._facts, options.ranking, self._with_leaders(wanted, features)
        )
        self._candidates = order.Candidates(
            features,
            [one.seller for one in self._facts],
            self._vectors(vectors_of) if options.diversity.strength else None,
        )

    def after(self, shown: frozenset[bytes]) -> Iterator[Found]:
        """The listings that follow those shown, best first."""
        taken = [
            row
            for row, one in enumerate(self._listings)
            if shown and short_hash(one.listing_id) in shown
        ]
        options = self._options
        ranks = ordered(self._candidates, options.ranking.weights, options.diversity, taken)
        return map(self._listing, ranks)

    def _read_facts(self) -> list[ListingFacts]:
        listing_ids = [one.listing_id for one in self._listings]
        popularity = self._options.ranking.popularity
        facts = facts_of(self._asked.session, self._asked.columns, listing_ids, popularity)
        # Without those that were deleted a moment ago.
        self._listings = [one for one in self._listings if one.listing_id in facts]
        return [facts[one.listing_id] for one in self._listings]

    def _listing(self, ranked: Ranked) -> Found:
        one = self._listings[ranked.row]
        return Found(
            one.listing_id,
            self._photos.get(one.listing_id),
            None if one.look is None else one.look.similarity,
            ranked.score,
            ranked.reasons,
        )

    def _photos_shown(self, session: Session) -> dict[UUID, int]:
        """The photo that each listing is shown by: the nearest, or else its first."""
        photos = {one.listing_id: one.look.photo_id for one in self._listings if one.look}
        others = [one.listing_id for one in self._listings if not one.look]
        first = photo_ids_shown(session, others) if others else {}
        return photos | {listing_id: shown[0] for listing_id, shown in first.items()}

    def _relevance(self) -> dict[RankPart, Feature]:
        looks = [np.nan if one.look is None else one.look.similarity for one in self._listings]
        words = [np.nan if one.text is None else one.text for one in self._listings]
        return relevance(
            np.array(looks) if self._asked.look else None,
            np.array(words) if self._asked.words else None,
            self._options.fusion,
        )

    def _with_leaders(self, wanted: Wanted, features: Mapping[RankPart, Feature]) -> Wanted:
        weights = self._options.ranking.weights
        if wanted.categories is not None or not weights.category:
            return wanted
        relevance_alone = RankWeights(weights.similarity, weights.text)
        best = ordered(order.Candidates(features), relevance_alone)
        leaders = [self._facts[ranked.row] for ranked, _ in zip(best, range(LEADERS), strict=False)]
        return replace(wanted, categories=wanted_categories([one.category for one in leaders]))

    def _vectors(self, vectors_of: VectorsOf) -> NDArray[np.float32] | None:
        known = vectors_of(sorted(set(self._photos.values())))
        if not known or not self._listings:
            return None
        nothing = np.zeros_like(next(iter(known.values())))
        shown = [self._photos.get(one.listing_id) for one in self._listings]
        return np.stack(
            [nothing if photo is None else known.get(photo, nothing) for photo in shown]
        )


def _place(one: Candidate) -> tuple[float, float, int, UUID]:
    look: ListingMatch | None = one.look
    similarity = -look.similarity if look else np.inf
    score = -(one.text or 0.0)
    return similarity, score, look.photo_id if look else 0, one.listing_id
