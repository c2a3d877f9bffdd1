"""How right match labels are, on results that their thresholds were not fitted to."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.intervals import cluster_means, wilson
from models.matching.fit import SAME_ITEM, VERY_SIMILAR, Booleans, Looks, Results, is_same_item
from models.matching.labels import Calibration, Measured, Precision

SEED: Final = 0


def measured(calibration: Calibration, results: Results, looks: Looks) -> Calibration:
    """The calibration with its precision; labels that are right less often than due are withheld.

    Neither `results` nor `looks` may be of listings that it was fitted to.
    """
    near = results.take(results.similarities >= calibration.related)
    same = is_same_item(near, calibration.same_item)
    alone = np.zeros(len(same), bool)
    if calibration.same_item_alone is not None:
        alone = near.similarities >= calibration.same_item_alone
    similar = np.zeros(len(same), bool)
    if calibration.very_similar is not None:
        similar = ~same & (near.similarities >= calibration.very_similar)
    precision = Precision(
        same_item=_share(near.same_item, near.queries, near.asks_item & same),
        same_item_alone=_share(near.same_item, near.queries, near.asks_item & alone),
        very_similar=_share(near.same_category, near.queries, near.asks_category & similar),
        found=_found(results, near.take(near.asks_item & same & near.same_item)),
        strangers=_part(looks.strangers < calibration.stranger),
        lost=_part(looks.genuine < calibration.stranger),
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
    return calibration.model_copy(update=lost)


def _reaches(share: Measured | None, target: float) -> bool:
    return share is not None and share.value >= target


def _found(results: Results, right: Results) -> Measured | None:
    """The share of queries with a right result, that have one with the label."""
    possible = np.unique(results.queries[results.asks_item & results.same_item])
    return _part(np.isin(possible, right.queries))


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
