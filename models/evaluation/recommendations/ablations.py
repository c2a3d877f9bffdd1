"""The options of recommendations without one of their parts each. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Final

from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.options import Diversity, RankPart

Ablation = Callable[[RecommendOptions], RecommendOptions]


def _one_interest(options: RecommendOptions) -> RecommendOptions:
    return replace(options, interests=replace(options.interests, max_distance=inf))


def _no_recency(options: RecommendOptions) -> RecommendOptions:
    return replace(options, interests=replace(options.interests, half_days=inf))


def _no_popularity(options: RecommendOptions) -> RecommendOptions:
    return replace(
        _without(options, RankPart.POPULARITY), limits=replace(options.limits, popular=0)
    )


def _no_co_occurrence(options: RecommendOptions) -> RecommendOptions:
    return replace(_without(options, RankPart.TOGETHER), limits=replace(options.limits, together=0))


def _no_diversity(options: RecommendOptions) -> RecommendOptions:
    return replace(_without(options, RankPart.SELLER), diversity=Diversity())


def _without(options: RecommendOptions, part: RankPart) -> RecommendOptions:
    return replace(options, weights=options.weights.with_stated({part: 0.0}))


ABLATIONS: Final[Mapping[str, Ablation]] = {
    "one interest": _one_interest,
    "no recency": _no_recency,
    "no popularity": _no_popularity,
    "no co-occurrence": _no_co_occurrence,
    "no diversity": _no_diversity,
}
"""Each leaves out what its name says, as what is touched and what is a candidate."""
