from math import log2

import numpy as np
import pytest

from models.evaluation.recommendations.metrics import (
    Answers,
    Estimates,
    Metric,
    information,
    padded,
    scores_of,
)
from models.evaluation.recommendations.targets import Target


def target(user: int, listings: list[int], first: list[int] | None = None) -> Target:
    is_first = np.isin(listings, listings if first is None else first)
    return Target(user, 10, np.array(listings, np.int64), is_first)


def answers(*tops: list[int], bits: list[float] | None = None) -> Answers:
    rows = np.stack([padded(np.array(top, np.int64)) for top in tops])
    return Answers(rows, np.array(bits or [1.0] * len(tops)))


def test_recall_and_hits() -> None:
    scores = scores_of(
        answers([5, 1, 7], [2], []), [target(0, [1, 5, 8, 9]), target(1, [3]), target(2, [4])]
    )
    assert scores.recall.tolist() == [0.5, 0, 0]
    assert scores.hit.tolist() == [1, 0, 0]
    assert scores.found.tolist() == [1, 1, 0, 0, 0, 0]


def test_gain_is_discounted_by_place() -> None:
    scores = scores_of(answers([8, 1, 7, 5]), [target(0, [1, 5])])
    found = 1 / log2(3) + 1 / log2(5)
    assert scores.ndcg[0] == pytest.approx(found / (1 + 1 / log2(3)))


def test_all_of_more_than_twenty_can_not_be_found_but_gain_can_be_whole() -> None:
    scores = scores_of(answers(list(range(20))), [target(0, list(range(25)))])
    assert scores.recall[0] == 20 / 25
    assert scores.ndcg[0] == pytest.approx(1)


def test_places_beyond_a_short_list_find_nothing() -> None:
    # The rest of the list is no listing: not even one with the number that fills it.
    assert scores_of(answers([]), [target(0, [19])]).recall.tolist() == [0]


def test_information_is_that_of_the_share_of_touches() -> None:
    counts = np.array([7, 0, 1, 4])  # and one more of each: 8, 1, 2 and 5 of 16
    assert information(counts, np.array([0])) == pytest.approx(1)
    assert information(counts, np.array([1, 2])) == pytest.approx((4 + 3) / 2)
    assert np.isnan(information(counts, np.array([], np.int64)))


def estimates(first: Answers, second: Answers, targets: list[Target]) -> Estimates:
    return Estimates([first, second], targets, catalogue=10, seed=0)


def test_figures_are_means_over_targets_with_differences_on_the_same_draws() -> None:
    targets = [target(0, [1, 2]), target(0, [3]), target(1, [4], first=[])]
    found = estimates(
        answers([1], [3], [9], bits=[2, 4, 6]), answers([], [8], [4], bits=[np.nan, 1, 3]), targets
    )
    recall = found.of(Metric.RECALL, 0)
    assert recall is not None
    assert recall.value == pytest.approx(0.5)
    # Users are drawn: two of the first, one of each, or two of the second.
    assert (recall.low, recall.high) == pytest.approx((0, 0.75))
    more = found.difference(Metric.RECALL, 0, 1)
    assert more is not None
    assert more.value == pytest.approx(0.5 - 1 / 3)
    assert (more.low, more.high) == pytest.approx((-1, 0.75))
    novelty = [found.of(Metric.NOVELTY, number) for number in (0, 1)]
    assert [one and one.value for one in novelty] == [4, 2]
    assert found.difference(Metric.NOVELTY, 0, 1) is None


def test_firsts_are_counted_by_listing() -> None:
    targets = [target(0, [1, 2, 3], first=[1, 2, 3]), target(1, [4], first=[4])]
    found = estimates(answers([1], [4]), answers([], []), targets)
    firsts = found.of(Metric.NEVER_SOLD, 0)
    assert found.never_sold == 4
    assert firsts is not None
    assert firsts.value == 0.5
    nothing = estimates(answers([1]), answers([]), [target(0, [1], first=[])])
    assert nothing.never_sold == 0
    assert nothing.of(Metric.NEVER_SOLD, 0) is None
    assert nothing.difference(Metric.NEVER_SOLD, 0, 1) is None


def test_coverage_is_of_the_catalogue() -> None:
    targets = [target(user, [9]) for user in range(3)]
    found = estimates(answers([1, 2], [2, 3], [2]), answers([], [], []), targets)
    coverage = found.of(Metric.COVERAGE, 0)
    assert coverage is not None
    assert coverage.value == 3 / 10
    assert 0 < coverage.low < 0.3 < coverage.high < 1
    none = found.of(Metric.COVERAGE, 1)
    assert none is not None
    assert (none.value, none.low, none.high) == (0, 0, 0)


def test_nothing_is_sure_of_one_user_and_nothing_varies() -> None:
    found = estimates(answers([1]), answers([2]), [target(0, [1])])
    recall = found.of(Metric.RECALL, 0)
    assert recall is not None
    assert (recall.value, recall.low, recall.high) == (1, 1, 1)
