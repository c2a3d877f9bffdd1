"""Choices that are drawn: what users with known weights choose from lists that they see in part."""

import numpy as np
from numpy.typing import NDArray

from models.domain.searches.options import RankPart, RankWeights
from models.ranking.choices import Choice, Choices

PARTS = (RankPart.PRICE, RankPart.FRESHNESS, RankPart.POPULARITY, RankPart.CATEGORY)
WANTED = {RankPart.PRICE: 4.0, RankPart.FRESHNESS: 2.0, RankPart.CATEGORY: 1.0}
"""What users go by: not by popularity."""
SHOWN_BY = RankWeights(
    similarity=0.0, text=0.0, price=0.3, freshness=0.3, popularity=1.0, category=0.2
)
"""What they are shown things by: by popularity above all."""
USERS = 300


def chosen_from_lists(
    seed: int, lists: int = 2_000, length: int = 20, *, with_positions: bool = True
) -> Choices:
    """Each list is ordered by `SHOWN_BY`, and its place k looked at with a chance of 1 / (k + 1).

    What is looked at is chosen with a chance that grows with what it is worth to users.
    """
    rng = np.random.default_rng(seed)
    wanted, shown_by = weights_of(WANTED), np.array([SHOWN_BY.of(part) for part in PARTS])
    looked_at = 1 / (1 + np.arange(length))
    choices = []
    for number in range(lists):
        features = rng.random((length, len(PARTS)))
        features = features[np.argsort(-(features @ shown_by))]
        likely = 1 / (1 + np.exp(6.5 - features @ wanted))
        gains = (rng.random(length) < looked_at * likely).astype(np.float64)
        positions = np.arange(length) if with_positions else None
        choices.append(Choice(number % USERS, named(features), gains, positions=positions))
    return Choices.of(choices, PARTS)


def chosen_from_all(seed: int, moments: int = 400, candidates: int = 30) -> Choices:
    """One thing of each moment's candidates, which all were looked at: the conditional logit."""
    rng = np.random.default_rng(seed)
    wanted = weights_of(WANTED)
    choices = []
    for number in range(moments):
        features = rng.random((candidates, len(PARTS)))
        odds = np.exp(features @ wanted)
        gains = np.zeros(candidates)
        gains[rng.choice(candidates, p=odds / odds.sum())] = 1.0
        choices.append(Choice(number % USERS, named(features), gains))
    return Choices.of(choices, PARTS)


def named(features: NDArray[np.float64]) -> dict[RankPart, NDArray[np.float64]]:
    """Columns by their parts."""
    return {part: features[:, column] for column, part in enumerate(PARTS)}


def weights_of(weights: dict[RankPart, float]) -> NDArray[np.float64]:
    """The weight of each of `PARTS`."""
    return np.array([weights.get(part, 0.0) for part in PARTS])
