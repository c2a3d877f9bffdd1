"""The weights of a ranking, learned from what users chose. Pure.

The model is the conditional logit (McFadden, 1974), whose likelihood learning to rank knows as the
listwise softmax loss (ListNet: Cao et al., 2007): of the things that were there, one is chosen with
a chance proportional to exp(w · features). Weights are not negative, so that each part speaks for a
listing and a score stays the weighted mean of its reasons.

Where things were shown as a list, people look at the upper ones more often. The position is a
feature while it is learned, a factor for each range of positions that multiplies the chance, and is
left out of what is served (Craswell et al., 2008; "position bias" in Joachims et al., 2017).

Of all that could have been recommended, only what weights put near the top decides what is seen.
So candidates are the first of an order: of the weights in use first, then of those that were
learned, and of these rounds the one is taken that orders what it was learned from best.

What the choices say little about stays as it is in use: differences from the direction of the
weights in use are penalised, as by a normal prior. So parts that hardly vary, or not at all, keep
their weight relative to the rest, instead of one that would decide all where they vary once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize

from models.domain.errors import InvalidInput
from models.domain.searches.options import RankPart, RankWeights
from models.ranking.choices import Choices, Doubles
from models.ranking.likelihood import Likelihood, spread_of
from models.ranking.ndcg import ndcg_of
from models.ranking.positions import BUCKETS, buckets_of

FIRST: Final = 100
"""The first candidates, five times as many as are looked at, that are learned from."""
ROUNDS: Final = 3
"""From weights in use that find little, later rounds find more (docs/decisions)."""

CONSTANT: Final = 1e-6
"""The standard deviation within groups under which a part is the same for all."""
DIGITS: Final = 4
"""Of a weight, whose greatest is 1: finer differences change no order worth mentioning."""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Weights, and how much each position was looked at.

    `propensities` (b,) are relative to the most looked-at range of `BUCKETS`; 1 where no list was
    shown. `positions` are the first ones of the ranges in which something was shown, `varying` the
    parts that choices could say something about.
    """

    weights: RankWeights
    propensities: Doubles
    positions: tuple[int, ...]
    varying: tuple[RankPart, ...]


def learn(choices: Choices, in_use: RankWeights) -> Learned:
    """The weights that make choices near the top likeliest, beside those in use.

    The same choices give the same weights. Raises InvalidInput if they say nothing about any part.
    """
    found: list[Learned] = []
    weights = in_use
    for _ in range(ROUNDS):
        first = choices.first_by(weights, FIRST)
        # Where nothing that was chosen is near the top, all that could have been is learned from.
        learned = fit(first if first.chosen else choices, in_use)
        if any(learned.weights == one.weights for one in found):
            break
        found.append(learned)
        weights = learned.weights
    return max(found, key=lambda one: ndcg_of(choices, one.weights, one.propensities).mean)


def fit(choices: Choices, in_use: RankWeights) -> Learned:
    """The weights that make the choices likeliest, beside those in use. Raises as `learn`."""
    spread = spread_of(choices)
    if not (spread > CONSTANT).any() or not choices.chosen:
        raise InvalidInput("All candidates are alike: no choice says anything about the weights.")
    likelihood = Likelihood(choices, spread, in_use)
    fitted = minimize(
        likelihood,
        likelihood.start,
        jac=True,
        method="L-BFGS-B",
        bounds=likelihood.bounds,
        options={"maxiter": 500, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-6},
    ).x
    weights, factors = likelihood.parts_of(fitted)
    scale = likelihood.scale(weights)
    learned = dict(zip(choices.parts, weights.tolist(), strict=True))
    kept = {part: scale * in_use.of(part) for part in RankPart if part not in learned}
    seen = np.unique(buckets_of(choices.positions))
    return Learned(
        _normalised({**kept, **learned}),
        np.exp(factors - factors.max()),
        tuple(BUCKETS[seen[seen >= 0]].tolist()),
        tuple(part for part, of in zip(choices.parts, spread, strict=True) if of > CONSTANT),
    )


def _normalised(weights: Mapping[RankPart, float]) -> RankWeights:
    """Weights of this direction, the greatest of which is 1."""
    greatest = max(weights.values(), default=0.0)
    if greatest <= 0:
        raise InvalidInput("What users chose speaks for none of the parts: there are no weights.")
    return RankWeights(
        **{part.value: round(weight / greatest, DIGITS) for part, weight in weights.items()}
    )
