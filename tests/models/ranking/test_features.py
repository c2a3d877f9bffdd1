"""The parts of a ranking: from 0 to 1, half where they say, never against what is better."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.searches.facts import ListingFacts
from models.domain.searches.options import (
    OF_USERS,
    FusionMethod,
    Place,
    Ranking,
    RankPart,
    RankWeights,
)
from models.ranking.features import (
    Wanted,
    agreement,
    decay,
    freshness,
    popularity,
    price_fit,
    saturated,
    static_features,
    wanted_categories,
)
from models.ranking.fusion import reciprocal_ranks, relevance

NOW = datetime(2030, 1, 2, tzinfo=UTC)
HOME = Place(53.8, -1.55)
ALL = RankWeights(*[1.0] * len(RankPart))


def facts(**stated: object) -> ListingFacts:
    return ListingFacts(UUID(int=1), 1, NOW)._replace(**stated)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (price_fit(10, "GBP", 10, "GBP"), 1),
        (price_fit(20, "GBP", 10, "GBP"), 0.5),
        (price_fit(5, "GBP", 10, "GBP"), 0.5),
        (price_fit(10, "EUR", 10, "GBP"), 0),
        (price_fit(10, "EUR", 10, None), 1),
        (price_fit(None, "GBP", 10, "GBP"), 0),
        (price_fit(0, "GBP", 10, "GBP"), 0),
        (price_fit(0, "GBP", 0, "GBP"), 1),
        (decay(25, 25), 0.5),
        (decay(0, 25), 1),
        (decay(1e9, 1e-3), 0),
        (freshness(NOW - timedelta(days=30), NOW, 30), 0.5),
        (freshness(NOW + timedelta(days=30), NOW, 30), 1),
        (popularity(100), 0.5),
        (saturated(3, 3), 0.5),
        (saturated(0, 3), 0),
        (popularity(-1), 0),
        (popularity(None), 0),
        (agreement("Home / Lamps / Desk", "Home / Lamps"), 1),
        (agreement("Home", "Home / Lamps"), 0.5),
        (agreement("Homes / Lamps", "Home / Lamps"), 0),
        (agreement(None, "Home"), 0),
    ],
)
def test_parts_are_what_their_table_says(value: float, expected: float) -> None:
    assert value == pytest.approx(expected)


def test_half_a_distance_away_is_half() -> None:
    ranking = Ranking(ALL, half_km=111.195)
    north = facts(latitude=54.8, longitude=-1.55)
    (part,) = static_features([north], ranking, Wanted(NOW, origin=HOME))[RankPart.DISTANCE]
    assert part == pytest.approx(0.5, rel=1e-4)


def test_what_is_not_known_is_nothing() -> None:
    parts = static_features(
        [facts(created_at=NOW - timedelta(days=10**5))],
        Ranking(ALL, popularity="views"),
        Wanted(NOW, 10, "GBP", HOME, {"Home": 1.0}),
    )
    assert set(parts) == {
        RankPart.PRICE,
        RankPart.DISTANCE,
        RankPart.FRESHNESS,
        RankPart.CATEGORY,
        RankPart.POPULARITY,
    }
    assert all(values.tolist() == [pytest.approx(0, abs=1e-300)] for values in parts.values())


def test_what_there_is_nothing_to_compare_with_is_left_out() -> None:
    assert set(static_features([facts()], Ranking(ALL), Wanted(NOW))) == {RankPart.FRESHNESS}


def test_a_weight_of_nothing_costs_nothing() -> None:
    wanted = Wanted(NOW, 10, "GBP", HOME, {"Home": 1.0})
    assert static_features([facts()], Ranking(popularity="views"), wanted) == {}


def test_categories_are_wanted_as_often_as_they_are_seen() -> None:
    assert wanted_categories(["Home", None, "Home", "Toys"]) == {"Home": 2 / 3, "Toys": 1 / 3}
    assert wanted_categories([None]) == {}
    parts = static_features(
        [facts(category="Home / Lamps"), facts(category="Toys")],
        Ranking(ALL),
        Wanted(NOW, categories={"Home": 2 / 3, "Toys": 1 / 3}),
    )
    assert parts[RankPart.CATEGORY].tolist() == [pytest.approx(2 / 3), pytest.approx(1 / 3)]


AMOUNTS = st.floats(0, 1e6).map(lambda amount: round(amount, 2))
PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.one_of(st.none(), AMOUNTS),
    st.one_of(st.none(), PLACES),
    st.floats(-1e5, 1e5),
    st.one_of(st.none(), st.floats(-1e15, 1e15)),
    st.sampled_from([None, "Home", "Home / Lamps", "Toys"]),
    AMOUNTS,
    PLACES,
    st.floats(1e-3, 1e4),
)
def test_parts_are_between_nothing_and_one(
    price: float | None,
    place: tuple[float, float] | None,
    days: float,
    count: float | None,
    category: str | None,
    wanted_price: float,
    origin: tuple[float, float],
    half: float,
) -> None:
    latitude, longitude = place or (None, None)
    one = facts(
        created_at=NOW - timedelta(days=days),
        price=price,
        latitude=latitude,
        longitude=longitude,
        popularity=count,
        category=category,
    )
    ranking = Ranking(ALL, Decimal(1), None, "views", half, half)
    wanted = Wanted(NOW, wanted_price, None, Place(*origin), {"Home / Lamps": 0.7, "Toys": 0.3})
    parts = static_features([one, facts()], ranking, wanted)
    for values in parts.values():
        assert ((values >= 0) & (values <= 1)).all()


def test_one_part_alone_is_its_own_value() -> None:
    values = np.array([0.9, -0.2, np.nan])
    for method in FusionMethod:
        parts = relevance(values, None, method)
        assert parts[RankPart.SIMILARITY].tolist() == [0.9, 0, 0]
        assert RankPart.TEXT not in parts


def test_places_are_shared_by_equals() -> None:
    ranks = reciprocal_ranks(np.array([0.5, 0.9, 0.5, np.nan, 0.1]))
    assert ranks.tolist() == [61 / 62, 1, 61 / 62, 0, 61 / 64]


def test_both_are_fused_as_asked() -> None:
    look, words = np.array([0.9, 0.8]), np.array([np.nan, 0.4])
    convex = relevance(look, words, FusionMethod.CONVEX)
    assert convex[RankPart.TEXT].tolist() == [0, 0.4]
    rrf = relevance(look, words, FusionMethod.RRF)
    assert rrf[RankPart.SIMILARITY].tolist() == [1, 61 / 62]
    assert rrf[RankPart.TEXT].tolist() == [0, 1]


def test_weights_are_read_and_refused_by_name() -> None:
    assert RankWeights.parse("") == RankWeights()
    stated = RankWeights.parse(" freshness = 0.2, similarity=0 ")
    assert stated == replace(RankWeights(), freshness=0.2, similarity=0)
    assert stated.ranks
    assert not RankWeights(text=3).ranks
    for wrong in ("size=1", "price", "price=a", "price=-1", "price=nan", "price=101"):
        with pytest.raises(ValueError, match=r"price|size"):
            RankWeights.parse(wrong)


@pytest.mark.parametrize("part", sorted(OF_USERS))
def test_no_search_is_ranked_by_what_suits_a_user(part: RankPart) -> None:
    with pytest.raises(ValueError, match=f"'{part}' is none of similarity"):
        RankWeights.parse(f"{part}=1")
    assert RankWeights().of(part) == 0
    assert set(static_features([facts()], Ranking(ALL), Wanted(NOW))).isdisjoint(OF_USERS)
