"""How right match labels are, on results that their thresholds were not fitted to."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.intervals import cluster_means, wilson
from models.matching.fit import (
    SAME_ITEM,
    VERY_SIMILAR,
    Booleans,
    Looks,
    Results,
    is_at_least,
    is_same_item,
)
from models.matching.labels import Calibration, Measured, Precision

SEED: Final = 0


class Labelled(NamedTuple):
    """Results (n,) of listings that thresholds were not fitted to, and which labels they have.

    `same` and `similar` (n,) are those of the same item, and the very similar, where the
    neighbourhood is known; `same_alone` and `similar_alone` where it is not. `are_told` (s,) are
    the strangers that are told as such, `are_lost` (q,) the queries of the catalogue's own kinds
    that are as well.
    """

    results: Results
    same: Booleans
    same_alone: Booleans
    similar: Booleans
    similar_alone: Booleans
    are_told: Booleans
    are_lost: Booleans


def labelled(calibration: Calibration, results: Results, looks: Looks) -> Labelled:
    """Label what a calibration was not fitted to."""
    is_near = results.similarities >= calibration.related
    same = is_near & is_same_item(results, calibration.same_item)
    same_alone = is_near & is_at_least(results, calibration.same_item_alone)
    near_enough = is_near & is_at_least(results, calibration.very_similar_alone)
    similar = near_enough & ~same
    if calibration.very_similar is not None:
        # NaN is not as much as anything.
        similar |= is_near & ~same & (results.agreements >= calibration.very_similar)
    similar_alone = near_enough & ~same_alone
    return Labelled(
        results,
        same,
        same_alone,
        similar,
        similar_alone,
        looks.strangers < calibration.stranger,
        looks.genuine < calibration.stranger,
    )


def measured(calibration: Calibration, parts: Sequence[Labelled]) -> Calibration:
    """The calibration with its precision; labels that are right less often than due are withheld.

    Each of the `parts` was labelled by thresholds that were fitted to the others.
    """
    results = Results.join([part.results for part in parts])
    same, same_alone, similar, similar_alone, are_told, are_lost = (
        np.concatenate(columns) for columns in zip(*(part[1:] for part in parts), strict=True)
    )
    asks_item, asks_category = results.asks_item, results.asks_category
    precision = Precision(
        same_item=_share(results.same_item, results.queries, asks_item & same),
        same_item_alone=_share(results.same_item, results.queries, asks_item & same_alone),
        very_similar=_share(results.same_category, results.queries, asks_category & similar),
        very_similar_alone=_share(
            results.same_category, results.queries, asks_category & similar_alone
        ),
        found=_found(results, asks_item & same & results.same_item),
        strangers=_part(are_told),
        lost=_part(are_lost),
    )
    return _withheld(calibration.model_copy(update={"precision": precision}))


def _withheld(calibration: Calibration) -> Calibration:
    precision = calibration.precision
    lost: dict[str, None] = {}
    if not _reaches(precision.same_item, SAME_ITEM):
        lost["same_item"] = None
    if not _reaches(precision.same_item_alone, SAME_ITEM):
        lost["same_item_alone"] = None
    if not _reaches(precision.very_similar, VERY_SIMILAR):
        lost["very_similar"] = None
    if not _reaches(precision.very_similar_alone, VERY_SIMILAR):
        lost["very_similar_alone"] = None
    return calibration.model_copy(update=lost)


def _reaches(share: Measured | None, target: float) -> bool:
    return share is not None and share.value >= target


def _found(results: Results, are_right: Booleans) -> Measured | None:
    """The share of queries with a right result, that have one with the label."""
    possible = np.unique(results.queries[results.asks_item & results.same_item])
    return _part(np.isin(possible, results.queries[are_right]))


def _share(right: Booleans, queries: NDArray[np.int64], rows: Booleans) -> Measured | None:
    """The share of these rows (n,) that are right; its interval is by query."""
    hits = right[rows]
    if not len(hits):
        return None
    values = hits[:, np.newaxis].astype(np.float64)
    share = cluster_means(values, queries[rows], np.random.default_rng(SEED)).of(0)
    # Where all are right, so is every draw of them: that says nothing of how sure it is.
    low, high = wilson(share.value, len(np.unique(queries[rows])))
    return Measured(
        value=share.value, low=min(low, share.low), high=max(high, share.high), count=len(hits)
    )


def _part(hits: NDArray[np.bool_]) -> Measured | None:
    if not len(hits):
        return None
    share = float(hits.mean())
    low, high = wilson(share, len(hits))
    return Measured(value=share, low=low, high=high, count=len(hits))
