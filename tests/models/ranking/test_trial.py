"""Learned weights are taken if later choices say that they are better, and else refused."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.errors import InvalidInput
from models.domain.searches.options import RankPart, RankWeights
from models.ranking.choices import Choice, Choices
from models.ranking.learning import Learned, learn
from models.ranking.ndcg import ndcg
from models.ranking.positions import BUCKETS
from models.ranking.trial import require_enough, try_weights
from tests.support.choosing import PARTS, SHOWN_BY, WANTED, chosen_from_all, chosen_from_lists

RIGHT = RankWeights(similarity=0, text=0, **{part.value: w for part, w in WANTED.items()})
LOOKED_AT_ALIKE = np.ones(len(BUCKETS))


def test_better_weights_are_taken() -> None:
    trial = try_weights(chosen_from_all(2), learn(chosen_from_all(1), SHOWN_BY), SHOWN_BY)
    assert trial.refusal is None
    assert trial.gain.low > 0
    assert trial.learned.value - trial.in_use.value == pytest.approx(trial.gain.value)


def test_weights_that_are_no_better_are_refused_in_words() -> None:
    trial = try_weights(chosen_from_all(2), learn(chosen_from_all(1), RIGHT), RIGHT)
    assert trial.refusal is not None
    assert "no better than those in use: nDCG@20 0." in trial.refusal
    assert "on later choices" in trial.refusal


def test_worse_weights_are_refused() -> None:
    worse = Learned(SHOWN_BY, LOOKED_AT_ALIKE, (), PARTS)
    trial = try_weights(chosen_from_all(2), worse, RIGHT)
    assert trial.gain.high < 0
    assert trial.refusal is not None


def test_the_same_weights_are_refused() -> None:
    trial = try_weights(chosen_from_all(2), Learned(RIGHT, LOOKED_AT_ALIKE, (), PARTS), RIGHT)
    assert (trial.gain.value, trial.gain.low, trial.gain.high) == (0, 0, 0)
    assert trial.refusal is not None


def test_the_order_that_was_shown_gains_nothing_from_having_been_shown() -> None:
    later = chosen_from_lists(2)
    learned = learn(chosen_from_lists(1), SHOWN_BY)
    assert try_weights(later, learned, SHOWN_BY).gain.low > 0.05
    # As if all places were looked at alike, what was shown first seems to be what is wanted.
    ignoring = Learned(learned.weights, LOOKED_AT_ALIKE, (), PARTS)
    assert try_weights(later, ignoring, SHOWN_BY).gain.low < 0


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=40),
    st.lists(st.floats(0.5, 3), max_size=3),
)
def test_ndcg_is_what_its_definition_says(
    candidates: list[tuple[float, int]], missed: list[float]
) -> None:
    scores, gains = (np.array(column, np.float64) for column in zip(*candidates, strict=True))
    scores = scores.astype(np.float32).astype(np.float64)
    choices = Choices.of([Choice(1, {RankPart.PRICE: scores}, gains, missed)], [RankPart.PRICE])
    if not gains.any() and not missed:
        assert len(choices) == 0
        return
    order = sorted(range(len(gains)), key=lambda row: (-scores[row], row))
    found = sum(gains[row] / log2(place + 2) for place, row in enumerate(order[:20]))
    wanted = sorted([*gains, *missed], reverse=True)[:20]
    best = sum(gain / log2(place + 2) for place, gain in enumerate(wanted))
    value = ndcg(choices, choices.gains, RankWeights(0, 0, price=1))
    assert value == pytest.approx([found / best])
    assert 0 <= value[0] <= 1 + 1e-12


def test_a_part_that_candidates_lack_is_0() -> None:
    one = Choice(1, {RankPart.PRICE: np.array([0.5, 0.2])}, np.array([1.0, 0.0]))
    choices = Choices.of([one, one], (RankPart.PRICE, RankPart.CATEGORY))
    assert choices.features.tolist() == [[0.5, 0.0], [pytest.approx(0.2), 0.0]] * 2
    assert choices.groups.tolist() == [0, 0, 1, 1]
    assert choices.chosen == 2


@pytest.mark.parametrize(("moments", "users"), [(100, 300), (400, 5)])
def test_too_little_is_said_so(moments: int, users: int) -> None:
    choices = chosen_from_all(1, moments=moments)
    few = Choices(
        **{name: getattr(choices, name) for name in Choices.__slots__ if name != "users"},
        users=choices.users % users,
    )
    with pytest.raises(InvalidInput, match=r"there are \d+ earlier choices of \d+ users"):
        require_enough(few, "earlier")


def test_enough_is_enough() -> None:
    require_enough(chosen_from_all(1, moments=200), "later")
