"""Weights are learned from what was chosen, whatever place it was shown at."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.domain.errors import InvalidInput
from models.domain.searches.options import RankPart, RankWeights
from models.ranking import likelihood as likelihood_module
from models.ranking.choices import Choice, Choices
from models.ranking.learning import FIRST, fit, learn
from models.ranking.positions import buckets_of
from tests.support.choosing import (
    PARTS,
    SHOWN_BY,
    WANTED,
    chosen_from_all,
    chosen_from_lists,
    named,
    weights_of,
)

EVEN = RankWeights(similarity=0, text=0, price=1, freshness=1, popularity=1, category=1)

AGAINST = RankWeights(similarity=0, text=0, popularity=1)
"""By what nobody goes."""


def direction(weights: RankWeights) -> NDArray[np.float64]:
    """The weights of the parts, of length 1."""
    values = np.array([weights.of(part) for part in PARTS])
    unit: NDArray[np.float64] = values / np.linalg.norm(values)
    return unit


def off(weights: RankWeights) -> float:
    """How far the weights' direction is from what users go by, as the length of the difference."""
    wanted = weights_of(WANTED)
    return float(np.linalg.norm(direction(weights) - wanted / np.linalg.norm(wanted)))


def test_what_users_go_by_is_learned_from_their_choices() -> None:
    assert off(EVEN) > 0.5
    assert off(learn(chosen_from_all(1, moments=2_000), EVEN).weights) < 0.06


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weights_are_recovered_under_a_position_bias_that_ignoring_puts_into_them(
    seed: int,
) -> None:
    told = learn(chosen_from_lists(seed), SHOWN_BY)
    ignored = learn(chosen_from_lists(seed, with_positions=False), SHOWN_BY)
    assert off(told.weights) < 0.2
    # Popularity is what put things to where people look.
    assert ignored.weights.popularity > 0.6
    assert told.weights.popularity < 0.25
    assert off(ignored.weights) > 2.5 * off(told.weights)


def test_how_often_places_are_looked_at_is_found_too() -> None:
    learned = learn(chosen_from_lists(1, lists=6_000), SHOWN_BY)
    places = np.arange(6)
    assert learned.propensities[places] == pytest.approx(1 / (1 + places), abs=0.08)


def test_positions_are_put_into_ranges_that_widen() -> None:
    found = buckets_of(np.array([-1, 0, 1, 9, 10, 11, 12, 59, 60, 10_000]))
    assert found.tolist() == [-1, 0, 1, 9, 9, 9, 10, 15, 16, 16]


def test_blocks_of_groups_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = chosen_from_lists(4, lists=300)
    whole = learn(choices, SHOWN_BY)
    monkeypatch.setattr(likelihood_module, "ROWS_AT_ONCE", 50)
    parts = learn(choices, SHOWN_BY)
    assert direction(parts.weights) == pytest.approx(direction(whole.weights), abs=1e-3)


def test_the_gradient_is_that_of_the_loss() -> None:
    choices = chosen_from_lists(5, lists=200)
    spread = likelihood_module.spread_of(choices)
    likelihood = likelihood_module.Likelihood(choices, spread, SHOWN_BY)
    rng = np.random.default_rng(0)
    at = likelihood.start + 0.3 * rng.random(len(likelihood.start))
    step = rng.standard_normal(len(at))
    ahead, behind = (likelihood(at + sign * 1e-6 * step)[0] for sign in (1, -1))
    assert (ahead - behind) / 2e-6 == pytest.approx(likelihood(at)[1] @ step, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), factor=st.floats(0.05, 20))
def test_weights_in_use_count_only_relative_to_each_other(seed: int, factor: float) -> None:
    choices = chosen_from_all(seed, moments=60)
    scaled = RankWeights(
        similarity=0, text=0, **{one.value: factor * EVEN.of(one) for one in PARTS}
    )
    assert direction(learn(choices, scaled).weights) == pytest.approx(
        direction(learn(choices, EVEN).weights), abs=2e-3
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), order=st.permutations(range(4)))
def test_the_order_of_parts_and_of_candidates_does_not_matter(seed: int, order: list[int]) -> None:
    choices = chosen_from_lists(seed, lists=60)
    other = replace(
        choices,
        parts=tuple(choices.parts[column] for column in order),
        features=choices.features[::-1][:, order],
        gains=choices.gains[::-1],
        positions=choices.positions[::-1],
        starts=choices.starts[-1] - choices.starts[::-1],
    )
    assert direction(learn(other, SHOWN_BY).weights) == pytest.approx(
        direction(learn(choices, SHOWN_BY).weights), abs=2e-3
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    groups=st.integers(1, 12),
    in_use=st.lists(st.floats(0, 10), min_size=4, max_size=4),
)
def test_no_weight_is_negative_and_the_same_choices_give_the_same(
    seed: int, groups: int, in_use: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    choices = Choices.of(
        [
            Choice(
                number,
                named(np.round(rng.random((size, 4)), 1)),
                rng.integers(0, 3, size).astype(np.float64),
                positions=rng.permutation(size) if number % 2 else None,
            )
            for number, size in enumerate(rng.integers(0, 8, groups))
        ],
        PARTS,
    )
    weights = RankWeights(
        0.0, 0.0, **dict(zip([part.value for part in PARTS], in_use, strict=True))
    )
    try:
        learned = learn(choices, weights)
    except InvalidInput:
        return
    values = [learned.weights.of(part) for part in RankPart]
    assert min(values) >= 0
    assert max(values) == 1
    again = learn(choices, weights)
    assert again.weights == learned.weights
    assert again.propensities.tolist() == learned.propensities.tolist()


@pytest.mark.parametrize("spread", [0.0, 0.003])
def test_a_part_that_hardly_varies_keeps_its_weight_beside_the_others(spread: float) -> None:
    choices = chosen_from_all(3)
    features = choices.features.copy()
    features[:, 2] = 0.7 + spread * features[:, 2]
    in_use = replace(EVEN, popularity=0.5, seller=0.25, price=4, freshness=2, category=1)
    learned = learn(replace(choices, features=features), in_use)
    assert (RankPart.POPULARITY in learned.varying) == (spread > 0)
    assert learned.weights.popularity / learned.weights.price == pytest.approx(0.5 / 4, rel=0.2)
    assert learned.weights.seller / learned.weights.popularity == pytest.approx(0.5, rel=0.05)

    unused = learn(replace(choices, features=features), replace(in_use, popularity=0))
    assert unused.weights.popularity < 0.01


def test_a_few_choices_change_little_and_many_a_lot() -> None:
    few, many = (learn(chosen_from_all(7, moments=n), EVEN).weights for n in (3, 2_000))
    even = direction(EVEN)
    assert np.linalg.norm(direction(few) - even) < 0.35
    assert np.linalg.norm(direction(many) - even) > 0.5


def test_what_decides_at_the_top_is_learned_and_not_what_tells_the_rest_apart() -> None:
    """Of 300 candidates half of what is chosen is drawn by popularity from all, and never found."""
    rng = np.random.default_rng(0)
    choices = []
    for user in range(600):
        features = rng.random((300, 4))
        features[:, 0] **= 3
        by = features[:, 0] * 30 if user % 2 else features[:, 2] * 2
        gains = np.zeros(300)
        gains[rng.choice(300, p=np.exp(by) / np.exp(by).sum())] = 1.0
        choices.append(Choice(user, named(features), gains))
    of_all = Choices.of(choices, PARTS)
    everything, top = fit(of_all, EVEN).weights, learn(of_all, EVEN).weights
    assert top.popularity / top.price < 0.6 * everything.popularity / everything.price


def test_weights_in_use_that_find_nothing_are_left_behind() -> None:
    choices = chosen_from_all(5, moments=300, candidates=300)
    assert choices.first_by(AGAINST, FIRST).chosen < choices.first_by(EVEN, FIRST).chosen
    assert off(learn(choices, AGAINST).weights) < 0.35
    # Also where nothing at all that was chosen is among the first.
    features = choices.features.copy()
    features[:, 2] = choices.gains == 0
    hidden = replace(choices, features=features)
    assert hidden.first_by(AGAINST, FIRST).chosen == 0
    assert learn(hidden, AGAINST).weights.price == 1


def test_the_first_by_some_weights_are_what_is_left_of_what_was_not_a_list() -> None:
    features = np.array([[0.1, 0, 0, 0], [0.9, 0, 0, 0], [0.5, 0, 0, 0], [0.9, 0, 0, 0]])
    gains = np.array([1.0, 0, 2.0, 0])
    one = Choice(1, named(features), gains, missed=[3.0])
    shown = Choice(2, named(features), gains, positions=np.arange(4))
    first = Choices.of([one, shown, one], PARTS).first_by(EVEN, 2)
    assert first.starts.tolist() == [0, 2, 6, 8]
    assert first.gains.tolist() == [0, 0, 1, 0, 2, 0, 0, 0]
    assert [list(one) for one in first.missed] == [[3, 1, 2], [], [3, 1, 2]]
    assert first.features[:2, 0].tolist() == pytest.approx([0.9, 0.9])
    assert first.users.tolist() == [1, 2, 1]


@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_candidates_that_are_all_alike_teach_nothing(gain: float) -> None:
    alike = named(np.full((5, 4), 0.5))
    gains = np.array([gain, 0, 0, 0, 0])
    with pytest.raises(InvalidInput, match="alike"):
        learn(Choices.of([Choice(1, alike, gains, missed=[1.0])], PARTS), EVEN)


def test_choices_against_every_part_are_no_weights() -> None:
    features = np.array([[0.0] * 4, [1.0] * 4])
    choices = Choices.of([Choice(1, named(features), np.array([1.0, 0.0]))] * 500, PARTS)
    with pytest.raises(InvalidInput, match="none of the parts"):
        learn(choices, EVEN)
