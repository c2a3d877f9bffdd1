"""What a user's touches say of what they want."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.recommendations.events import EventKind, Touch
from models.domain.recommendations.options import InterestOptions
from models.recommending.interests import interests_of, touched_listings
from tests.support.recommending import NOW, Rows, touch

OPTIONS = InterestOptions(half_days=10)
ANY = settings(max_examples=100, deadline=None, derandomize=True, database=None)
KINDS = st.sampled_from(list(EventKind))
TOUCHES = st.lists(st.builds(touch, st.integers(0, 8), KINDS, st.floats(-1, 400)), max_size=20)


def unit(rows: list[list[float]]) -> Rows:
    array = np.array(rows, np.float32)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    unit_rows: Rows = array / lengths
    return unit_rows


def test_a_listing_counts_by_the_best_of_what_was_done_with_it() -> None:
    touches = [
        touch(1, EventKind.VIEWED, 0),
        touch(1, EventKind.PURCHASED, 10),
        touch(2, EventKind.SAVED, 0),
        touch(3, EventKind.IMPRESSION, 0),
    ]
    touched = touched_listings(touches, NOW, OPTIONS)
    assert [(one.listing_id.int, one.kind) for one in touched] == [
        (2, EventKind.SAVED),
        (1, EventKind.PURCHASED),
    ]
    assert touched[1].weight == pytest.approx(0.5)


def test_what_was_hidden_says_nothing_whatever_was_done_before() -> None:
    touches = [touch(1, EventKind.SAVED, 0), touch(1, EventKind.HIDDEN, 5)]
    assert touched_listings(touches, NOW, OPTIONS) == []


def test_only_what_counts_most_is_looked_at() -> None:
    touches = [touch(number, EventKind.VIEWED, number) for number in range(10_000)]
    touched = touched_listings(touches, NOW, replace(OPTIONS, max_touches=50))
    assert [one.listing_id.int for one in touched] == list(range(50))


@ANY
@given(TOUCHES, st.randoms(use_true_random=False))
def test_the_order_of_touches_is_no_matter(touches: list[Touch], random: Random) -> None:
    shuffled = list(touches)
    random.shuffle(shuffled)
    assert touched_listings(shuffled, NOW, OPTIONS) == touched_listings(touches, NOW, OPTIONS)


@ANY
@given(TOUCHES.filter(bool), st.data())
def test_a_newer_touch_never_counts_less(touches: list[Touch], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(touches) - 1))
    newer = list(touches)
    by = data.draw(st.floats(0, 100))
    newer[place] = replace(touches[place], at=touches[place].at + timedelta(days=by))

    def weight(some: list[Touch]) -> float:
        weights = {one.listing_id: one.weight for one in touched_listings(some, NOW, OPTIONS)}
        return weights.get(touches[place].listing_id, 0.0)

    assert weight(newer) >= weight(touches)


def test_two_things_are_two_interests_the_heavier_first() -> None:
    vectors = unit([[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 1, 0.1], [0, 1, 0.05]])
    weights = np.array([1.0, 0.5, 0.2, 0.2, 0.2])
    first, second = interests_of(vectors, weights, OPTIONS)
    assert first.members == (0, 1)
    assert first.medoid == 0
    assert first.weight == pytest.approx(1.5 / 2.1)
    assert second.members == (2, 3, 4)
    assert second.medoid == 4


def test_nothing_and_one_thing() -> None:
    assert interests_of(np.zeros((0, 3), np.float32), np.zeros(0), OPTIONS) == []
    (only,) = interests_of(unit([[1, 2, 3]]), np.array([0.1]), OPTIONS)
    assert (only.medoid, only.members, only.weight) == (0, (0,), 1.0)


@ANY
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.data())
def test_interests_share_all_touches_and_a_heavier_one_never_weighs_less(
    count: int, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(count, 4)).tolist())
    weights = rng.uniform(0.01, 1, count)
    row = data.draw(st.integers(0, count - 1))
    heavier = weights.copy()
    heavier[row] *= data.draw(st.floats(1, 50))
    before = interests_of(vectors, weights, OPTIONS)
    after = interests_of(vectors, heavier, OPTIONS)
    for some in (before, after):
        assert sorted(row for one in some for row in one.members) == list(range(count))
        assert sum(one.weight for one in some) == pytest.approx(1)
        assert all(one.medoid in one.members for one in some)
    (old,) = [one for one in before if row in one.members]
    (new,) = [one for one in after if row in one.members]
    assert new.members == old.members
    assert new.weight >= old.weight - 1e-12


def test_vectors_that_are_all_the_same_are_one_interest() -> None:
    (only,) = interests_of(unit([[1, 0]] * 300), np.ones(300), OPTIONS)
    assert only.medoid == 0
