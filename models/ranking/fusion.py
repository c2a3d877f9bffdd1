"""Look and words as two parts of one ranking. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.searches.options import FusionMethod, RankPart
from models.ranking.features import Feature

RRF_K: Final = 60
"""The constant of reciprocal rank fusion, as Cormack, Clarke and Büttcher (2009) chose it."""


def relevance(
    similarity: Feature | None, text: Feature | None, method: FusionMethod
) -> dict[RankPart, Feature]:
    """The parts that say how well candidates answer, (n,) in [0, 1]; NaN is what is not known.

    None is what was not asked for. With one of the two, its own values are the part, a cosine below
    0 being 0. With both, `method` is how they become comparable.
    """
    asked = {RankPart.SIMILARITY: similarity, RankPart.TEXT: text}
    given = {part: values for part, values in asked.items() if values is not None}
    by_places = len(given) > 1 and method is FusionMethod.RRF
    as_part = reciprocal_ranks if by_places else _clipped
    return {part: as_part(values) for part, values in given.items()}


def reciprocal_ranks(values: Feature) -> Feature:
    """(k + 1) / (k + place), with k = 60, so that the first has 1; equal values share a place.

    What is not known, NaN, has 0.
    """
    known = values[~np.isnan(values)]
    above = len(known) - np.searchsorted(np.sort(known), values, side="right")
    ranks: Feature = (RRF_K + 1) / (RRF_K + 1 + above)
    ranks[np.isnan(values)] = 0.0
    return ranks


def _clipped(values: Feature) -> Feature:
    clipped: NDArray[np.float64] = np.clip(np.nan_to_num(values, nan=0.0), 0.0, 1.0)
    return clipped
