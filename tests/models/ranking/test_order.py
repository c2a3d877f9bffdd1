"""The order of candidates: total, stable, the same whether it is taken up or not."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.domain.searches.options import Diversity, RankPart, RankWeights
from models.ranking.order import Candidates, Ranked, ordered

PARTS = [part for part in RankPart if part is not RankPart.SELLER]
ANY = settings(max_examples=150, deadline=None, derandomize=True, database=None)
Rows = NDArray[np.float64]


def candidates(
    *parts: Sequence[float],
    sellers: Sequence[str | None] = (),
    vectors: Sequence[Sequence[float]] = (),
) -> Candidates:
    """Each sequence is a part, in the order of `PARTS`, of all candidates."""
    features: dict[RankPart, Rows] = {
        part: np.array(values, np.float64) for part, values in zip(PARTS, parts, strict=False)
    }
    count = len(parts[0]) if parts else 0
    rows = np.array(vectors, np.float32)
    if len(rows):
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Candidates(features, sellers or [None] * count, rows if len(rows) else None)


def rows(ranked: Sequence[Ranked]) -> list[int]:
    return [one.row for one in ranked]


def test_scores_are_the_weighted_mean_of_reasons() -> None:
    ranked = list(ordered(candidates([0.8, 0.9], [1.0, 0.0]), RankWeights(1, 0.5)))
    assert rows(ranked) == [0, 1]
    assert ranked[0].score == pytest.approx((0.8 + 0.5 * 1.0) / 1.5)
    assert ranked[0].reasons == {RankPart.SIMILARITY: 0.8, RankPart.TEXT: 1.0}


def test_a_weight_of_nothing_leaves_a_part_out() -> None:
    (best, _) = ordered(candidates([0.8, 0.9], [1.0, 0.0]), RankWeights(1, 0))
    assert best.row == 1
    assert best.reasons == {RankPart.SIMILARITY: 0.9}


def test_without_any_weight_they_stay_in_order_of_their_parts() -> None:
    ranked = list(ordered(candidates([0.8, 0.9, 0.8]), RankWeights(0, 0)))
    assert rows(ranked) == [1, 0, 2]
    assert [one.score for one in ranked] == [0, 0, 0]


def test_nothing_is_no_error() -> None:
    assert list(ordered(candidates(), RankWeights())) == []
    assert list(ordered(candidates([]), RankWeights(seller=1), Diversity(0.5, 1))) == []


def test_what_looks_like_one_above_comes_later() -> None:
    alike = candidates([0.9, 0.89, 0.7], vectors=[[1, 0], [1, 0], [0, 1]])
    assert rows(list(ordered(alike, RankWeights()))) == [0, 1, 2]
    assert rows(list(ordered(alike, RankWeights(), Diversity(0.3)))) == [0, 2, 1]
    turned = candidates([0.7, 0.9, 0.89], vectors=[[0, 1], [1, 0], [1, 0]])
    assert rows(list(ordered(turned, RankWeights(), Diversity(0.3)))) == [1, 0, 2]


def test_what_has_no_vector_repeats_nothing() -> None:
    some = Candidates(
        {RankPart.SIMILARITY: np.array([0.9, 0.89, 0.7])},
        [None] * 3,
        np.array([[1, 0], [1, 0], [0, 0]], np.float32),
    )
    assert rows(list(ordered(some, RankWeights(), Diversity(0.3)))) == [0, 2, 1]


def test_sellers_take_turns_as_far_as_they_count() -> None:
    some = candidates([0.9, 0.9, 0.8, 0.2], sellers=["a", "a", "b", None])
    assert rows(list(ordered(some, RankWeights(seller=1)))) == [0, 2, 1, 3]
    first, *_, last = ordered(some, RankWeights(seller=1))
    assert first.reasons[RankPart.SELLER] == 1
    assert last.reasons[RankPart.SELLER] == 0


def test_after_its_share_a_seller_waits_for_the_others() -> None:
    some = candidates([0.9, 0.8, 0.7, 0.1, 0.05], sellers=["a", "a", "a", "b", None])
    capped = list(ordered(some, RankWeights(), Diversity(per_seller=1)))
    assert rows(capped) == [0, 3, 4, 1, 2]


FRACTIONS = st.sampled_from([0.0, 0.25, 0.5, 0.5 + 1e-16, 0.7, 1.0]) | st.floats(0, 1)
WEIGHTS = st.builds(RankWeights, *[st.sampled_from([0.0, 0.1, 1.0, 3.0]) for _ in RankPart])
DIVERSITIES = st.builds(Diversity, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([None, 1, 2]))


@st.composite
def drawn(draw: st.DrawFn) -> Candidates:
    count = draw(st.integers(1, 9))
    parts = [
        draw(st.lists(FRACTIONS, min_size=count, max_size=count))
        for _ in range(draw(st.integers(1, len(PARTS))))
    ]
    direction = st.sampled_from([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]])
    return candidates(
        *parts,
        sellers=draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=count, max_size=count)),
        vectors=draw(st.lists(direction, min_size=count, max_size=count)),
    )


@ANY
@given(drawn(), WEIGHTS, DIVERSITIES, st.data())
def test_the_order_is_total_and_can_be_taken_up_anywhere(
    some: Candidates, weights: RankWeights, diversity: Diversity, data: st.DataObject
) -> None:
    whole = list(ordered(some, weights, diversity))
    count = len(some.sellers)
    assert sorted(rows(whole)) == list(range(count))
    assert all(0 <= one.score <= 1 + 1e-12 for one in whole)
    shown = data.draw(st.integers(0, count))
    rest = ordered(some, weights, diversity, taken=rows(whole[:shown]))
    limit = data.draw(st.integers(0, count))
    assert list(islice(rest, limit)) == whole[shown : shown + limit]


@ANY
@given(drawn(), WEIGHTS, DIVERSITIES, st.data())
def test_a_better_twin_never_ranks_below(
    some: Candidates, weights: RankWeights, diversity: Diversity, data: st.DataObject
) -> None:
    """The twin has the same look, seller and vector, and in some parts more."""
    count = len(some.sellers)
    row = data.draw(st.integers(0, count - 1))
    place = data.draw(st.integers(0, count))
    gains = {part: data.draw(FRACTIONS) for part in some.features}

    def with_twin(values: Rows, twin: float) -> Rows:
        return np.insert(values, place, twin)

    features = {
        part: with_twin(values, max(values[row], gains[part]))
        for part, values in some.features.items()
    }
    sellers = list(some.sellers)
    sellers.insert(place, some.sellers[row])
    assert some.vectors is not None
    vectors = np.insert(some.vectors, place, some.vectors[row], axis=0)
    original = row + (place <= row)
    order = rows(list(ordered(Candidates(features, sellers, vectors), weights, diversity)))
    is_better = any(features[part][place] > features[part][original] for part in features)
    if is_better or place < original:
        assert order.index(place) < order.index(original)
