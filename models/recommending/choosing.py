"""What users chose as choices that weights are learned from: the parts as of that moment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final
from uuid import UUID

import numpy as np

from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.options import RankPart, RankWeights
from models.ranking.choices import Choice
from models.ranking.features import Feature
from models.recommending.candidates import (
    Found,
    Known,
    candidates_shown,
    find_candidates,
    known_of,
)
from models.recommending.recommend import Request, excluded_of
from models.recommending.scoring import parts_of
from models.recommending.sources import Sources

LEARNED: Final = tuple(
    part for part in RankPart if part not in {RankPart.TEXT, RankPart.SIMILARITY, RankPart.SELLER}
)
"""The parts that choices may say something about: not of a page's listing or of words, which users
have not stated, nor of sellers' turns, which depend on the order."""

_ALL_PARTS: Final = RankWeights(**{one.name: 1.0 for one in fields(RankWeights)})


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a listing was shown, from 0 on, and what it was worth to the user."""

    position: int
    gain: float


def choice_of_all(
    user: int,
    request: Request,
    chosen: Mapping[UUID, float],
    sources: Sources,
    options: RecommendOptions,
) -> Choice:
    """Listings that the user touched next, by their gains, among all candidates as of a moment."""
    known = known_of(request.touches, request.listing_id, request.now, sources, options)
    found = find_candidates(known, excluded_of(request), (), sources, options.limits)
    ids = [one.listing_id for one in found.facts]
    there = set(ids)
    return Choice(
        user=user,
        features=_features(request, known, found, options),
        gains=np.array([chosen.get(one, 0.0) for one in ids], np.float64),
        missed=[gain for one, gain in sorted(chosen.items()) if one not in there],
    )


def choice_of_list(
    user: int,
    request: Request,
    shown: Mapping[UUID, Shown],
    sources: Sources,
    options: RecommendOptions,
) -> Choice:
    """What the user chose of a list that was shown to them at that moment."""
    known = known_of(request.touches, request.listing_id, request.now, sources, options)
    found = candidates_shown(known, shown, sources, options.limits)
    places = [shown[one.listing_id] for one in found.facts]
    return Choice(
        user=user,
        features=_features(request, known, found, options),
        gains=np.array([one.gain for one in places], np.float64),
        positions=np.array([one.position for one in places], np.int64),
    )


def _features(
    request: Request, known: Known, found: Found, options: RecommendOptions
) -> Mapping[RankPart, Feature]:
    """Also parts that have no weight now: they might deserve one."""
    every = replace(options, weights=_ALL_PARTS)
    return parts_of(request.touches, request.near, request.now, known, found, every).features
