"""What neighbours tell of a photo."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.searches.attributes import AttributeValue
from models.prediction import (
    FEWEST_AGREEING,
    FEWEST_PRICES,
    FEWEST_STATING,
    LEAST_SHARE,
    Neighbour,
    SuggestedAttribute,
    grouped,
    price_band,
    suggested_attributes,
    vote,
)

neighbours = st.lists(
    st.builds(
        Neighbour,
        similarity=st.floats(-1, 1),
        category=st.sampled_from(["Bags", "Shoes", "Toys", None]),
    )
)


def priced(*prices: int | str, currency: str = "GBP") -> list[Neighbour]:
    return [Neighbour(0.5, price=Decimal(price), currency=currency) for price in prices]


@given(neighbours)
def test_votes_are_shares_of_one(given_neighbours: list[Neighbour]) -> None:
    shares = vote(given_neighbours)
    assert shares.keys() == {item.category for item in given_neighbours} - {None}
    assert all(0 <= share <= 1 for share in shares.values())
    assert not shares or sum(shares.values()) == pytest.approx(1)


@given(neighbours, st.randoms(use_true_random=False))
def test_the_order_of_voters_does_not_matter(
    given_neighbours: list[Neighbour], random: Random
) -> None:
    shuffled = random.sample(given_neighbours, len(given_neighbours))
    assert vote(shuffled) == pytest.approx(vote(given_neighbours))


def test_equally_near_neighbours_have_one_vote_each() -> None:
    voters = [Neighbour(0.8, "Bags"), Neighbour(0.8, "Shoes"), Neighbour(0.8, "Bags")]
    assert vote(voters) == pytest.approx({"Bags": 2 / 3, "Shoes": 1 / 3})


def test_one_clearly_nearest_outweighs_many_that_are_merely_near() -> None:
    shares = vote([Neighbour(0.97, "Bags"), *[Neighbour(0.6, "Shoes")] * 19])
    assert shares["Bags"] > 0.8


def test_many_as_near_as_the_nearest_outweigh_it() -> None:
    shares = vote([Neighbour(0.72, "Bags"), *[Neighbour(0.70, "Shoes")] * 3])
    assert shares["Shoes"] > shares["Bags"]


def test_who_has_no_category_has_no_vote() -> None:
    assert vote([Neighbour(0.9), Neighbour(0.1, "Bags")]) == {"Bags": 1.0}
    assert vote([Neighbour(0.9)]) == {}
    assert vote([]) == {}


def test_a_group_is_as_likely_as_its_members_together() -> None:
    shares = {"Home / Lamps": 0.5, "Home / Rugs": 0.2, "Toys": 0.3}
    assert grouped(shares, lambda path: path.split(" / ")[0]) == pytest.approx(
        {"Home": 0.7, "Toys": 0.3}
    )


def test_the_band_are_quartiles() -> None:
    band = price_band(priced(50, 10, 30, 20, 40))
    assert band
    assert (band.p25, band.p50, band.p75) == (Decimal(20), Decimal(30), Decimal(40))
    assert (band.currency, band.listings) == ("GBP", 5)


def test_between_two_prices_a_quartile_is_in_whole_pence() -> None:
    band = price_band(priced("0.10", "0.25", "10.00", "10.99"))
    assert band
    assert [str(band.p25), str(band.p50), str(band.p75)] == ["0.21", "5.12", "10.25"]


def test_the_band_is_in_the_currency_of_most() -> None:
    band = price_band(priced(1, 2, 3, 4, currency="EUR") + priced(100, 200, 300, 400, 500))
    assert band
    assert (band.currency, band.p50, band.listings) == ("GBP", Decimal(300), 5)


def test_of_currencies_stated_as_often_the_nearest_neighbours_is_taken() -> None:
    band = price_band(priced(1, 2, 3, 4, currency="EUR") + priced(100, 200, 300, 400))
    assert band
    assert band.currency == "EUR"


def test_too_few_prices_are_no_band() -> None:
    enough = priced(*range(1, FEWEST_PRICES + 1))
    assert price_band(enough)
    assert price_band([*enough[1:], Neighbour(0.9, "Bags")]) is None
    assert price_band([*enough[1:], *priced(5, currency="EUR")]) is None
    assert price_band([]) is None


prices = st.lists(st.decimals(0, 10_000, places=2), min_size=FEWEST_PRICES, max_size=30)


@given(prices)
def test_quantiles_are_in_order_and_within_the_prices(stated: list[Decimal]) -> None:
    band = price_band(priced(*(str(price) for price in stated)))
    assert band
    found = [band.p10, band.p25, band.p50, band.p75, band.p90]
    assert found == sorted(found)
    assert min(stated) <= found[0]
    assert found[-1] <= max(stated)
    assert band.listings == len(stated)


def test_a_tenth_is_under_the_first_and_over_the_last() -> None:
    band = price_band(priced(*range(0, 101, 10)))
    assert band
    assert (band.p10, band.p90) == (Decimal(10), Decimal(90))


def stating(*values: AttributeValue, similarity: float = 0.5) -> list[Neighbour]:
    return [Neighbour(similarity, attributes={"x": value}) for value in values]


attributes = st.dictionaries(
    st.sampled_from(["brand", "size", "new", "materials"]),
    st.sampled_from([True, 1, 1.5, "red", "Red", "blue", ["wool"], ["Wool", "silk"]]),
)
describing = st.lists(st.builds(Neighbour, similarity=st.floats(-1, 1), attributes=attributes))


@given(describing)
def test_suggestions_rest_on_enough_neighbours(neighbours: list[Neighbour]) -> None:
    for one in suggested_attributes(neighbours):
        stated = [item.attributes[one.name] for item in neighbours if one.name in item.attributes]
        assert one.of == len(stated) >= FEWEST_STATING
        assert FEWEST_AGREEING <= one.listings <= one.of
        assert LEAST_SHARE <= one.share <= 1 + 1e-9
        assert any(
            one.value == value or one.value in (value if isinstance(value, list) else [])
            for value in stated
        )


@given(describing, st.randoms(use_true_random=False))
def test_the_order_of_neighbours_changes_no_suggestion_but_its_spelling(
    neighbours: list[Neighbour], random: Random
) -> None:
    def told(them: list[Neighbour]) -> set[tuple[str, str, int, int]]:
        return {
            (one.name, str(one.value).casefold(), one.listings, one.of)
            for one in suggested_attributes(them)
        }

    # In random order, sums are rounded otherwise: equal similarities make them exact enough.
    even = [Neighbour(0.0, attributes=item.attributes) for item in neighbours]
    assert told(random.sample(even, len(even))) == told(even)


def test_values_are_counted_without_case_and_suggested_as_the_nearest_writes_them() -> None:
    assert suggested_attributes(stating("Red", "red", "RED", "blue")) == [
        SuggestedAttribute("x", "Red", 0.75, 3, 4)
    ]


def test_a_number_is_no_boolean_and_no_text() -> None:
    assert suggested_attributes(stating(1, True, "1", 1.0)) == []
    assert suggested_attributes(stating(1, True, 1.0, 1, 1))[0].listings == 4


def test_each_text_of_a_list_is_suggested() -> None:
    found = suggested_attributes(stating(["wool", "silk"], ["wool"], ["Silk", "wool"], ["silk"]))
    assert [(one.value, one.listings, one.share) for one in found] == [
        ("wool", 3, 0.75),
        ("silk", 3, 0.75),
    ]


def test_what_few_state_or_few_agree_on_is_not_suggested() -> None:
    assert suggested_attributes(stating("red", "red", "red")) == []
    assert suggested_attributes(stating("red", "red", "blue", "blue")) == []
    near = [*stating("red", similarity=0.99), *stating("blue", "blue", "blue")]
    assert suggested_attributes(near) == []
