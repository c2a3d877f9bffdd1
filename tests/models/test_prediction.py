"""What neighbours tell of a photo."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prediction import FEWEST_PRICES, Neighbour, grouped, price_band, vote

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
    assert (band.low, band.median, band.high) == (Decimal(20), Decimal(30), Decimal(40))
    assert (band.currency, band.listings) == ("GBP", 5)


def test_between_two_prices_a_quartile_is_in_whole_pence() -> None:
    band = price_band(priced("0.10", "0.25", "10.00", "10.99"))
    assert band
    assert [str(band.low), str(band.median), str(band.high)] == ["0.21", "5.12", "10.25"]


def test_the_band_is_in_the_currency_of_most() -> None:
    band = price_band(priced(1, 2, 3, 4, currency="EUR") + priced(100, 200, 300, 400, 500))
    assert band
    assert (band.currency, band.median, band.listings) == ("GBP", Decimal(300), 5)


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
