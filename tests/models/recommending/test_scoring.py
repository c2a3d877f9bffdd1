"""The parts of a recommendation's score."""

from dataclasses import replace

import numpy as np
import pytest

from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import InterestOptions
from models.domain.searches.options import Place, RankPart, RankWeights
from models.recommending.candidates import Found, Known, find_candidates, known_of
from models.recommending.interests import touched_listings
from models.recommending.recommend import DEFAULT_OPTIONS
from models.recommending.scoring import NOBODY, interest, parts_of, together, unseen
from models.recommending.sources import Together
from tests.support.recommending import NOW, ArraySources, listing, sources, touch

ALL = replace(DEFAULT_OPTIONS, weights=RankWeights(*[1.0] * len(RankPart)))


def known_and_found(catalogue: ArraySources, *numbers: int) -> tuple[Known, Found]:
    touches = [touch(number) for number in numbers]
    known = known_of(touches, None, NOW, catalogue, ALL)
    return known, find_candidates(known, [], [], catalogue, ALL.limits)


def test_interest_is_the_best_of_what_was_touched_by_its_weight() -> None:
    candidates = np.array([[1, 0], [0, 1], [-1, 0], [0, 0]], np.float32)
    touched = np.array([[1, 0], [0, 1]], np.float32)
    values, because = interest(candidates, touched, np.array([0.2, 0.4]), {})
    assert values.tolist() == [0.5, 1, 0, 0]
    assert because.tolist() == [0, 1, NOBODY, NOBODY]


def test_no_listing_leads_to_itself() -> None:
    touched = np.array([[1, 0], [0.6, 0.8]], np.float32)
    values, because = interest(touched, touched, np.ones(2), {0: 0, 1: 1})
    assert values.tolist() == pytest.approx([0.6, 0.6])
    assert because.tolist() == [1, 0]


def test_interest_without_touches_is_nothing() -> None:
    values, because = interest(
        np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32), np.ones(0), {}
    )
    assert values.tolist() == [0, 0]
    assert because.tolist() == [NOBODY, NOBODY]


def test_together_counts_users_by_the_weight_of_what_they_touched_it_beside() -> None:
    touched = touched_listings(
        [touch(1, days_ago=0), touch(2, days_ago=10)], NOW, InterestOptions(half_days=10)
    )
    pairs = [
        Together(listing(1), listing(5), 3),
        Together(listing(2), listing(5), 4),
        Together(listing(2), listing(6), 4),
        Together(listing(9), listing(6), 100),
        Together(listing(1), listing(8), 100),
    ]
    values, because = together([listing(5), listing(6), listing(7)], touched, pairs, 5.0)
    assert values.tolist() == pytest.approx([5 / 10, 2 / 7, 0])
    assert because.tolist() == [0, 1, NOBODY]


def test_what_was_seen_counts_less_the_newer_it_is() -> None:
    touches = [
        touch(1, EventKind.IMPRESSION, 0),
        touch(2, EventKind.VIEWED, 7),
        touch(2, EventKind.SAVED, 14),
        touch(3, EventKind.PURCHASED, 0),
    ]
    values = unseen([listing(number) for number in (1, 2, 3, 4)], touches, NOW, 7.0)
    assert values.tolist() == pytest.approx([0, 0.5, 1, 1])


def test_categories_price_and_sellers_are_wanted_as_they_were_touched() -> None:
    catalogue = sources(8)
    for number, (price, category, seller) in enumerate(
        [(10, "a / b", "x"), (20, "a / b", None), (40, "a / c", "x"), (10, "d", "y")]
    ):
        one = catalogue.known[listing(number)]
        catalogue.known[listing(number)] = one._replace(
            price=float(price), category=category, seller=seller
        )
    known, found = known_and_found(catalogue, 0)
    parts = parts_of([touch(0)], None, NOW, known, found, ALL)
    rows = {one.listing_id.int: row for row, one in enumerate(found.facts)}

    def part(kind: RankPart, *numbers: int) -> list[float]:
        return [float(parts.features[kind][rows[number]]) for number in numbers]

    assert part(RankPart.CATEGORY, 1, 2, 3) == [1, 0.5, 0]
    assert part(RankPart.PRICE, 1, 2, 3) == [0.5, 0.25, 1]
    assert part(RankPart.KNOWN_SELLER, 1, 2, 3) == [0, 1, 0]


def test_the_price_level_is_in_the_currency_that_counts_most() -> None:
    catalogue = sources(6)
    catalogue.known[listing(5)] = catalogue.known[listing(5)]._replace(currency="EUR")
    known, found = known_and_found(catalogue, 0, 1, 5)
    prices = parts_of([], None, NOW, known, found, ALL).features[RankPart.PRICE]
    rows = {one.listing_id.int: row for row, one in enumerate(found.facts)}
    assert prices[rows[0]] == 1
    assert prices[rows[5]] == 0


def test_a_part_without_a_reference_or_a_weight_is_left_out() -> None:
    known, found = known_and_found(sources(6))
    assert set(parts_of([], None, NOW, known, found, ALL).features) == {
        RankPart.FRESHNESS,
        RankPart.POPULARITY,
    }
    near = parts_of([], Place(51, 0), NOW, known, found, ALL)
    assert RankPart.DISTANCE in near.features
    nothing = replace(ALL, weights=RankWeights(0, 0, 0, 0, freshness=1, popularity=0))
    assert set(parts_of([], None, NOW, known, found, nothing).features) == {RankPart.FRESHNESS}
