"""Fits the thresholds of match labels to the results of held-out queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from models.evaluation.intervals import wilson
from models.matching.labels import Calibration, SameItem

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]

SAME_ITEM: Final = 0.95
VERY_SIMILAR: Final = 0.8
"""The share of results with each label that are right, at least."""
LIKELY: Final = 0.8
"""The chance, at least, of the least sure result that has either label."""
SURE: Final = 1.645
"""Standard deviations: the share of right results is that high with 95% certainty, one-sided."""
FLOORS: Final = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8)
"""Shares of right results that the least cosine of the same item may cost: the best is taken."""
TOLD: Final = 0.98
"""The share of pictures of nothing that is sold that are to be told as that,"""
MOST_LOST: Final = 0.05
"""unless more than this share of photos of the catalogue's own kinds would be as well."""
OUTLIERS: Final = 0.01
"""The share of these photos that are not asked when it comes to what is related."""


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Results of searches, a row each (n,), nearest or not.

    `references` are the similarity of the query's nearest listing of rank 6, `agreements` the share
    of its 20 nearest photos that are of the result's category, NaN where not known; `same_item`
    and `same_category` say what is right. `asks_item` and `asks_category` say which rows count for
    which: half of the searches that count for the item are for one that is in the catalogue, and
    those for a category are for other items of it. `queries` number the listings that were asked
    about.
    """

    similarities: Doubles
    references: Doubles
    agreements: Doubles
    same_item: Booleans
    same_category: Booleans
    asks_item: Booleans
    asks_category: Booleans
    queries: NDArray[np.int64]

    def take(self, rows: Booleans) -> "Results":
        """Some of them (n,)."""
        return Results(
            self.similarities[rows],
            self.references[rows],
            self.agreements[rows],
            self.same_item[rows],
            self.same_category[rows],
            self.asks_item[rows],
            self.asks_category[rows],
            self.queries[rows],
        )

    @classmethod
    def join(cls, parts: Sequence["Results"]) -> "Results":
        """All parts, one after the other; there is one part at least."""
        columns = ([getattr(part, name) for part in parts] for name in cls.__slots__)
        return cls(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """How much the nearest photo looks like the query, as `Calibration.stranger` is compared.

    `genuine` (q,) are for other items of the catalogue's kinds, `strangers` (s,) for pictures of
    nothing that is sold; `nearest` (q,) are the similarities of the nearest photos of the genuine.
    """

    genuine: Doubles
    nearest: Doubles
    strangers: Doubles

    def take(self, genuine: Booleans, strangers: Booleans) -> "Looks":
        """Some of the genuine (q,) and of the strangers (s,)."""
        return Looks(self.genuine[genuine], self.nearest[genuine], self.strangers[strangers])


def fit(
    results: Results, looks: Looks, *, photos: int, listings: int, is_look: bool
) -> Calibration:
    """The thresholds. `is_look` says that looks are similarities, as of encoders not adapted.

    `looks` are of some queries at least; of the results there may be too few to fit a label.
    """
    stranger = _stranger(looks)
    related = stranger if is_look else float(np.quantile(looks.nearest, OUTLIERS))
    near = results.take(results.similarities >= related)
    same_item, same_item_alone = _same_item(near), _same_item_alone(near)
    rest = near.take(near.asks_category & ~is_same_item(near, same_item))
    alone = least(rest.similarities, rest.same_category, rest.queries, VERY_SIMILAR)
    known = rest.take(np.isfinite(rest.agreements) & ~is_at_least(rest, alone))
    return Calibration(
        photos=photos,
        listings=listings,
        same_item=same_item,
        same_item_alone=same_item_alone,
        very_similar=least(known.agreements, known.same_category, known.queries, VERY_SIMILAR),
        very_similar_alone=alone,
        related=related,
        stranger=stranger,
    )


def least(
    scores: Doubles, right: Booleans, queries: NDArray[np.int64], target: float
) -> float | None:
    """The least score from which results (n,) are right often enough; None if from none.

    From it on the share of right ones is `target` at least, with 95% certainty, and the chance of
    each result `LIKELY`, taking it that a higher score is never less sure (isotonic regression).
    Results of one query are right or wrong together: what is sure goes by how many queries there
    are.
    """
    if not len(scores):
        return None
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], right[order]
    chance = isotonic_regression(hits.astype(np.float64), increasing=False).x
    shares = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    is_first = np.zeros(len(hits), bool)
    is_first[np.unique(queries[order], return_index=True)[1]] = True
    counts = np.cumsum(is_first)
    # Equal scores have one label.
    ends = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True))
    for end in ends[::-1]:
        if chance[end] < LIKELY:
            continue
        if wilson(float(shares[end]), int(counts[end]), SURE)[0] >= target:
            return float(ordered[end])
    return None


def is_same_item(results: Results, same: SameItem | None) -> Booleans:
    """Which results (n,) have the label `same item`, by their neighbourhood."""
    if same is None:
        return np.zeros(len(results.similarities), bool)
    return (results.similarities >= same.similarity) & (_ratios(results) <= same.ratio)


def is_at_least(results: Results, similarity: float | None) -> Booleans:
    """Which results (n,) are as similar as that; none with None."""
    if similarity is None:
        return np.zeros(len(results.similarities), bool)
    return results.similarities >= similarity


def _stranger(looks: Looks) -> float:
    """Above most strangers, but not above many of the catalogue's own kinds."""
    most = float(np.quantile(looks.genuine, MOST_LOST))
    if not len(looks.strangers):
        return most
    above = float(np.nextafter(np.quantile(looks.strangers, TOLD, method="higher"), np.inf))
    return min(above, most)


def _same_item(near: Results) -> SameItem | None:
    """The rule, of one for each floor, that finds the most."""
    asked = near.take(near.asks_item & np.isfinite(near.references))
    if not asked.same_item.any():
        return None
    best, most = None, 0
    for share in FLOORS:
        floor = float(np.quantile(asked.similarities[asked.same_item], share))
        above = asked.take(asked.similarities >= floor)
        score = least(-_ratios(above), above.same_item, above.queries, SAME_ITEM)
        if score is None:
            continue
        rule = SameItem(similarity=floor, ratio=-score)
        found = int((is_same_item(asked, rule) & asked.same_item).sum())
        if found > most:
            best, most = rule, found
    return best


def _same_item_alone(near: Results) -> float | None:
    asked = near.take(near.asks_item)
    return least(asked.similarities, asked.same_item, asked.queries, SAME_ITEM)


def _ratios(results: Results) -> Doubles:
    """The distance of each result as a share of that of the listing of rank 6.

    Infinite where that is not known, and where even it is a copy.
    """
    own, other = 1 - results.similarities, 1 - results.references
    ratios: Doubles = np.divide(own, other, out=np.full(len(own), np.inf), where=other > 0)
    return ratios
