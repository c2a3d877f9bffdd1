"""Labels are right as often as they are due to be, on what their thresholds are fitted to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.types import MatchLabel
from models.matching.fit import (
    SAME_ITEM,
    VERY_SIMILAR,
    Looks,
    Results,
    fit,
    is_at_least,
    is_same_item,
    least,
)
from models.matching.labels import Calibration, label_of
from models.matching.measure import labelled, measured


def made_up(seed: int, count: int = 400, noise: float = 0.1) -> Results:
    """Results of which the nearer ones are right more often, one for each query."""
    rng = np.random.default_rng(seed)
    similarities = rng.uniform(0, 1, count)
    references = rng.uniform(0, 1, count) * similarities
    ratios = (1 - similarities) / (1 - references)
    references[rng.random(count) < 0.1] = np.nan
    agreements = np.where(np.isnan(references), np.nan, rng.uniform(0, 1, count))
    return Results(
        similarities=similarities,
        references=references,
        agreements=agreements,
        same_item=ratios + noise * rng.normal(size=count) < 0.5,
        same_category=np.nan_to_num(agreements, nan=0.5) + noise * rng.normal(size=count) > 0.3,
        asks_item=rng.random(count) < 0.8,
        asks_category=rng.random(count) < 0.8,
        queries=np.arange(count),
    )


def some_looks(seed: int) -> Looks:
    rng = np.random.default_rng(seed)
    nearest = rng.uniform(0.3, 1, 200)
    return Looks(nearest, nearest, rng.uniform(0, 0.4, 50))


def label(calibration: Calibration, results: Results, row: int) -> MatchLabel:
    reference, agreement = float(results.references[row]), float(results.agreements[row])
    return label_of(
        float(results.similarities[row]),
        calibration,
        reference=None if np.isnan(reference) else reference,
        agreement=None if np.isnan(agreement) else agreement,
    )


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 300),
    st.integers(1, 40),
    st.sampled_from([0.5, 0.8, 0.95]),
)
def test_from_the_least_score_on_enough_are_right(
    seed: int, count: int, steps: int, target: float
) -> None:
    rng = np.random.default_rng(seed)
    # Few different scores, so that many are equal.
    scores = rng.integers(0, steps + 1, count) / steps
    right = rng.random(count) < scores * rng.uniform(0.8, 1.5)
    found = least(scores, right, rng.integers(0, max(1, count), count), target)
    if found is not None:
        assert right[scores >= found].mean() >= target


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.5))
def test_labels_are_right_as_often_as_due_on_what_they_were_fitted_to(
    seed: int, noise: float
) -> None:
    results = made_up(seed, noise=noise)
    calibration = fit(results, some_looks(seed), photos=1, listings=1, is_look=True)
    same = is_same_item(results, calibration.same_item)
    given_labels = [label(calibration, results, row) for row in range(len(same))]
    # The fitted rule is the one that searches use.
    beside = np.isfinite(results.references) & (results.similarities >= calibration.related)
    for row in np.flatnonzero(beside).tolist():
        assert (given_labels[row] is MatchLabel.SAME_ITEM) == bool(same[row])
    counted = results.asks_item & beside & same
    assert not counted.any() or results.same_item[counted].mean() >= SAME_ITEM
    near = results.similarities >= calibration.related
    similar = near & ~same & is_at_least(results, calibration.very_similar_alone)
    if calibration.very_similar is not None:
        similar |= near & ~same & (results.agreements >= calibration.very_similar)
    for row in np.flatnonzero(beside).tolist():
        assert (given_labels[row] is MatchLabel.VERY_SIMILAR) == bool(similar[row])
    counted = results.asks_category & similar
    assert not counted.any() or results.same_category[counted].mean() >= VERY_SIMILAR
    # Where nothing is known of the neighbourhood, the cosine alone decides.
    alone = near & is_at_least(results, calibration.same_item_alone)
    for row in np.flatnonzero(near).tolist():
        bare = label_of(float(results.similarities[row]), calibration)
        assert (bare is MatchLabel.SAME_ITEM) == bool(alone[row])
    counted = results.asks_item & alone
    assert not counted.any() or results.same_item[counted].mean() >= SAME_ITEM


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_thresholds_are_in_order(seed: int, is_look: bool) -> None:
    calibration = fit(made_up(seed), some_looks(seed), photos=1, listings=1, is_look=is_look)
    same = calibration.same_item
    for threshold in (
        calibration.very_similar_alone,
        calibration.same_item_alone,
        None if same is None else same.similarity,
    ):
        assert threshold is None or threshold >= calibration.related
    if is_look:
        assert calibration.related == calibration.stranger


def test_few_results_are_not_enough_to_be_sure() -> None:
    scores = np.linspace(1, 0.9, 30)
    right = np.ones(30, bool)
    assert least(scores, right, np.arange(30), 0.95) is None
    assert least(scores, right, np.arange(30), 0.8) == pytest.approx(0.9)
    # Of one query, all are right or wrong together.
    assert least(scores, right, np.zeros(30, np.int64), 0.8) is None
    assert least(scores[:0], right[:0], np.arange(0), 0.8) is None


def test_strangers_are_told_unless_that_cost_too_many_others() -> None:
    genuine = np.linspace(0.5, 1, 101)
    apart = Looks(genuine, genuine, np.linspace(0.1, 0.4, 50))
    calibration = fit(made_up(0), apart, photos=1, listings=1, is_look=True)
    assert 0.39 < calibration.stranger <= 0.4 + 1e-9
    among = Looks(genuine, genuine, np.linspace(0.1, 0.9, 50))
    calibration = fit(made_up(0), among, photos=1, listings=1, is_look=True)
    assert calibration.stranger == pytest.approx(np.quantile(genuine, 0.05))


def test_a_label_that_is_wrong_too_often_is_withheld() -> None:
    calibration = fit(made_up(1), some_looks(1), photos=1, listings=1, is_look=True)
    assert calibration.same_item
    assert calibration.very_similar
    results = made_up(2)
    right = measured(calibration, [labelled(calibration, results, some_looks(2))])
    assert right.same_item == calibration.same_item
    assert right.very_similar == calibration.very_similar
    assert right.precision.same_item
    assert right.precision.same_item.low < right.precision.same_item.value
    rng = np.random.default_rng(0)
    wrong = Results(
        results.similarities,
        results.references,
        results.agreements,
        rng.random(400) < 0.5,
        rng.random(400) < 0.5,
        results.asks_item,
        results.asks_category,
        results.queries,
    )
    withheld = measured(calibration, [labelled(calibration, wrong, some_looks(2))])
    assert (withheld.same_item, withheld.same_item_alone, withheld.very_similar) == (None,) * 3
    assert withheld.related == calibration.related
