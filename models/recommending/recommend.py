"""From what a user did to what is recommended, best first, with reasons. Pure.

The one function that both the workers, over database and index, and the offline evaluation, over
arrays, recommend by.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from models.domain.recommendations.events import EventKind, Touch
from models.domain.recommendations.options import NEVER_AGAIN, RecommendOptions
from models.domain.searches.options import Place, RankPart
from models.ranking.order import Candidates, ordered
from models.recommending.candidates import Found, Known, find_candidates, known_of
from models.recommending.scoring import parts_of
from models.recommending.sources import Sources

DEFAULT_OPTIONS: Final = RecommendOptions()


@dataclass(frozen=True, slots=True)
class Request:
    """Who is recommended to, as what they did, in any order; nothing of them is nobody.

    `listing_id` is the listing of the page that recommendations are for. `exclude` are listings not
    to be recommended: the user's own, copies of the page's listing. `shown` are those of the pages
    before: they count for diversity, and do not come again.
    """

    now: datetime
    touches: Sequence[Touch] = ()
    listing_id: UUID | None = None
    near: Place | None = None
    exclude: Collection[UUID] = ()
    shown: Collection[UUID] = ()


@dataclass(frozen=True, slots=True)
class Because:
    """The listing that led to a recommendation, and what the user did with it."""

    listing_id: UUID
    kind: EventKind


@dataclass(frozen=True, slots=True)
class Recommended:
    """A recommended listing; `score` in [0, 1] is the mean of `reasons` by weight.

    `because` is None for what is only popular, new or like the page's listing.
    """

    listing_id: UUID
    score: float
    reasons: Mapping[RankPart, float]
    because: Because | None


def recommend(
    request: Request, sources: Sources, options: RecommendOptions = DEFAULT_OPTIONS
) -> Iterator[Recommended]:
    """What is recommended, best first, until candidates end.

    The same request of the same sources gives the same order. Without touches it is what is
    popular, new and near. Nothing that is excluded, shown, or was contacted, purchased or hidden by
    the user is ever given.
    """
    known = known_of(request.touches, request.listing_id, request.now, sources, options)
    excluded = excluded_of(request)
    found = find_candidates(known, excluded, request.shown, sources, options.limits)
    return _in_order(request, known, found, options)


def excluded_of(request: Request) -> frozenset[UUID]:
    """What is not recommended to this user now, whatever its score."""
    never = {touch.listing_id for touch in request.touches if touch.kind in NEVER_AGAIN}
    page = set() if request.listing_id is None else {request.listing_id}
    return frozenset(never | page | set(request.exclude))


def _in_order(
    request: Request, known: Known, found: Found, options: RecommendOptions
) -> Iterator[Recommended]:
    parts = parts_of(request.touches, request.near, request.now, known, found, options)
    candidates = Candidates(parts.features, [one.seller for one in found.facts], found.look)
    shown = set(request.shown)
    taken = [row for row, one in enumerate(found.facts) if one.listing_id in shown]
    for ranked in ordered(candidates, options.weights, options.diversity, taken):
        touch = int(parts.because[ranked.row])
        because = None
        if touch >= 0:
            touched = known.touched[touch]
            because = Because(touched.listing_id, touched.kind)
        listing_id = found.facts[ranked.row].listing_id
        yield Recommended(listing_id, ranked.score, ranked.reasons, because)
