"""What users chose is learned from by the parts that recommendations are ordered by."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from models.domain.errors import InvalidInput
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.options import RankPart, RankWeights
from models.ranking.choices import Choice
from models.ranking.train import LEARNED_SHARE, Trained, train
from models.recommending.choosing import LEARNED, Shown, choice_of_all, choice_of_list
from models.recommending.recommend import Request, recommend
from tests.support.recommending import NOW, ArraySources, listing, sources, touch

OPTIONS = RecommendOptions()
NEW_FIRST = RankWeights(similarity=0, text=0, interest=0.1, freshness=1.0)
ALIKE_FIRST = RankWeights(similarity=0, text=0, interest=1.0, freshness=0.1)


@pytest.fixture(scope="module")
def catalogue() -> ArraySources:
    return sources(120)


@dataclass(frozen=True)
class Visit:
    """What a user chose at some moment."""

    moment: int
    choice: Choice


@pytest.fixture(scope="module")
def users(catalogue: ArraySources) -> list[Choice]:
    """What 40 users who have touched three listings each could choose from."""
    rng = np.random.default_rng(0)
    touched = [rng.integers(0, 120, 3).tolist() for _ in range(40)]
    return [
        choice_of_all(
            user,
            Request(NOW, [touch(row, days_ago=1.0 + row / 50) for row in rows]),
            {},
            catalogue,
            OPTIONS,
        )
        for user, rows in enumerate(touched)
    ]


def visits(users: list[Choice], wanted: RankWeights, count: int) -> list[Visit]:
    """Users in turns, who choose by these weights."""
    rng = np.random.default_rng(1)
    found = []
    for moment in range(count):
        user = users[moment % len(users)]
        utilities = np.zeros(len(user.gains))
        for part, values in user.features.items():
            utilities += wanted.of(part) * values
        odds = np.exp(12 * utilities)
        gains = np.zeros(len(odds))
        gains[rng.choice(len(odds), p=odds / odds.sum())] = 1.0
        found.append(Visit(moment, replace(user, gains=gains)))
    return found


def trained(of: list[Visit], in_use: RankWeights) -> Trained:
    return train(of, lambda visit: visit.choice, LEARNED, in_use)


def test_the_parts_are_those_that_recommendations_are_ordered_by(catalogue: ArraySources) -> None:
    touches = [touch(5), touch(9, EventKind.IMPRESSION), touch(17, EventKind.PURCHASED)]
    request = Request(NOW, touches)
    shown = {one.listing_id: one for one in recommend(request, catalogue, OPTIONS)}
    choice = choice_of_all(7, request, {listing(6): 0.5, listing(17): 1.0}, catalogue, OPTIONS)
    ids = sorted(shown)
    assert len(choice.gains) == len(ids)
    assert choice.gains[ids.index(listing(6))] == 0.5
    # What was purchased is not recommended again: it was chosen, and is none of the candidates.
    assert (choice.gains.sum(), choice.missed) == (0.5, [1.0])
    for part in (RankPart.INTEREST, RankPart.UNSEEN, RankPart.FRESHNESS):
        told = [shown[one].reasons[part] for one in ids]
        assert choice.features[part].tolist() == told


def test_a_part_without_a_weight_is_learned_from_too(catalogue: ArraySources) -> None:
    options = replace(OPTIONS, weights=RankWeights(similarity=0, text=0, interest=1))
    choice = choice_of_all(7, Request(NOW, [touch(5)]), {}, catalogue, options)
    assert {RankPart.FRESHNESS, RankPart.PRICE, RankPart.KNOWN_SELLER} <= set(choice.features)


def test_a_list_is_what_was_shown_where_it_was(catalogue: ArraySources) -> None:
    request = Request(NOW, [touch(5), touch(17, EventKind.PURCHASED)])
    # Also what was purchased since: it was there to be chosen.
    shown = {listing(17): Shown(0, 0.0), listing(6): Shown(2, 1.0), listing(99): Shown(1, 0.0)}
    choice = choice_of_list(7, request, {**shown, listing(999): Shown(3, 0.0)}, catalogue, OPTIONS)
    assert choice.positions is not None
    assert choice.positions.tolist() == [2, 0, 1]
    assert choice.gains.tolist() == [1, 0, 0]
    whole = choice_of_all(7, Request(NOW, [touch(5)]), {}, catalogue, OPTIONS)
    alone = choice_of_list(7, Request(NOW, [touch(5)]), shown, catalogue, OPTIONS)
    rows = sorted(one.listing_id for one in recommend(Request(NOW, [touch(5)]), catalogue, OPTIONS))
    at = [rows.index(one) for one in sorted(shown)]
    assert alone.features[RankPart.INTEREST] == pytest.approx(
        whole.features[RankPart.INTEREST][at], abs=1e-6
    )


def test_weights_that_users_go_by_are_learned_and_taken(users: list[Choice]) -> None:
    result = trained(visits(users, ALIKE_FIRST, 1_000), NEW_FIRST)
    assert result.trial.refusal is None
    assert result.learned.weights.interest == 1
    assert result.learned.weights.freshness < 0.4
    assert result.tried_from == int(1_000 * LEARNED_SHARE)
    assert result.learned_from == result.tried_from
    assert result.trial.choices == 1_000 - result.tried_from


def test_weights_that_are_in_use_already_are_refused(users: list[Choice]) -> None:
    result = trained(visits(users, ALIKE_FIRST, 1_000), ALIKE_FIRST)
    assert result.trial.refusal is not None


def test_what_is_alike_in_time_is_not_parted(users: list[Choice]) -> None:
    """Nothing was learned from choices of the moment from which on weights are tried."""
    drawn = visits(users, NEW_FIRST, 900)
    same = [replace(visit, moment=visit.moment // 300) for visit in reversed(drawn)]
    result = trained(same, ALIKE_FIRST)
    assert (result.tried_from, result.learned_from, result.trial.choices) == (2, 600, 300)


@pytest.mark.parametrize("count", [0, 1, 100])
def test_too_little_is_refused(users: list[Choice], count: int) -> None:
    with pytest.raises(InvalidInput, match="are learned from 200 choices of 20 users"):
        trained(visits(users, ALIKE_FIRST, count), NEW_FIRST)


def test_progress_counts_all_choices(users: list[Choice]) -> None:
    told: list[tuple[int, int]] = []
    train(
        visits(users, ALIKE_FIRST, 1_000),
        lambda visit: visit.choice,
        LEARNED,
        NEW_FIRST,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 1_000) for done in range(1, 1_001)]
