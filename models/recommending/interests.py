"""What a user is interested in: clusters of what they touched, newer and stronger touches first.

A user has several interests at once, which one mean vector would mix into something that is none
of them. As in PinnerSage (Pal et al., 2020), touches are clustered by Ward's method without a fixed
number of clusters, and a cluster is looked around by its medoid, a listing that exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from models.domain.recommendations.events import EventKind, Touch
from models.domain.recommendations.options import InterestOptions
from models.ranking.features import SECONDS_A_DAY, decay

Rows = NDArray[np.float32]

_EVEN: Final = 6
"""Decimals that distances are rounded to, so that a cluster does not hang on rounding."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A listing that a user touched, by the touch that counts most; `weight` is in (0, 1]."""

    listing_id: UUID
    kind: EventKind
    at: datetime
    weight: float


@dataclass(frozen=True, slots=True)
class Interest:
    """A cluster of touched listings.

    `medoid` and `members` are rows of what was clustered; `weight` is the members' share in the
    weights of all touches, in (0, 1].
    """

    medoid: int
    members: tuple[int, ...]
    weight: float


def touched_listings(
    touches: Sequence[Touch], now: datetime, options: InterestOptions
) -> list[Touched]:
    """The listings that say what is wanted, those that count most first, `max_touches` of them.

    Each counts by the best of what was done with it. Touches of the future count as of now. One
    that was hidden says nothing, whatever was done before.
    """
    hidden = {touch.listing_id for touch in touches if touch.kind is EventKind.HIDDEN}
    weights = options.kinds.by_kind
    best: dict[UUID, Touched] = {}
    for touch in touches:
        kind_weight = weights[touch.kind]
        if not kind_weight or touch.listing_id in hidden:
            continue
        age_days = max(0.0, (now - touch.at).total_seconds()) / SECONDS_A_DAY
        weight = kind_weight * decay(age_days, options.half_days)
        known = best.get(touch.listing_id)
        if known is None or (weight, touch.at, touch.kind) > (known.weight, known.at, known.kind):
            best[touch.listing_id] = Touched(touch.listing_id, touch.kind, touch.at, weight)
    order = sorted(best.values(), key=lambda one: (-one.weight, one.listing_id))
    return [one for one in order[: options.max_touches] if one.weight > 0]


def interests_of(
    vectors: Rows, weights: NDArray[np.float64], options: InterestOptions
) -> list[Interest]:
    """The clusters of unit vectors (n, dimension) of weights (n,), heaviest first.

    The medoid is the member that is nearest to all others of its cluster, each by its weight.
    """
    if not len(vectors):
        return []
    labels = _clusters(vectors, options.max_distance)
    total = float(weights.sum()) or 1.0
    found: list[Interest] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        towards = vectors[members] @ (weights[members] @ vectors[members])
        medoid = int(members[np.argmax(np.round(towards, _EVEN))])
        share = float(weights[members].sum()) / total
        found.append(Interest(medoid, tuple(members.tolist()), share))
    return sorted(found, key=lambda one: (-one.weight, one.medoid))


def _clusters(vectors: Rows, max_distance: float) -> NDArray[np.int64]:
    """The number of each vector's cluster (n,)."""
    if len(vectors) == 1:
        return np.zeros(1, np.int64)
    squares = np.clip(2 - 2 * (vectors @ vectors.T).astype(np.float64), 0, None)
    np.fill_diagonal(squares, 0)
    distances = np.round(np.sqrt(squares), _EVEN)
    tree = linkage(squareform(distances, checks=False), method="ward")
    labels: NDArray[np.int64] = fcluster(tree, max_distance, criterion="distance").astype(np.int64)
    return labels
