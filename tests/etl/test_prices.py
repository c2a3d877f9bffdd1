from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.prices import parse_price


@pytest.mark.parametrize(
    ("written", "amount", "currency"),
    [
        ("£5.00", "5.00", "GBP"),
        ("£1,250.00", "1250.00", "GBP"),
        ("€1.250,00", "1250.00", "EUR"),
        ("€1.250.000,5", "1250000.50", "EUR"),
        ("$12", "12.00", "USD"),
        ("£ 7.5", "7.50", "GBP"),
        ("12,50 €", "12.50", "EUR"),
        ("12 EUR", "12.00", "EUR"),
        ("gbp 3", "3.00", "GBP"),
        ("£1,250", "1250.00", "GBP"),
        ("£1.250", "1250.00", "GBP"),
        ("£0.00", "0.00", "GBP"),
        ("£007", "7.00", "GBP"),
        ("40", "40.00", "GBP"),
        ("Free", "0.00", "GBP"),
        ("FREE ", "0.00", "GBP"),
        ("£999,999,999,999.99", "999999999999.99", "GBP"),
    ],
)
def test_prices_are_exact_amounts_in_a_currency(written: str, amount: str, currency: str) -> None:
    price = parse_price(written)
    assert price is not None
    assert (str(price.amount), price.currency) == (amount, currency)


@pytest.mark.parametrize("written", ["N/A", "n/a", "", "  "])
def test_no_price_is_not_zero(written: str) -> None:
    assert parse_price(written) is None


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("-£5.00", "negative"),
        ("£-5.00", "negative"),
        ("\u2212£5", "negative"),
        ("£1000000000000", "more than 12 digits"),
        ("£" + "9" * 5000, "more than 12 digits"),
        ("ask me", "not a price"),
        ("£", "not a price"),
        ("£5 ono", "not a price"),
        ("£5.123.4", "not a price"),
        ("£12.3456", "not a price"),
        ("£0.999", "not a price"),
        ("£1,25,000", "not a price"),
        ("£5€", "not a price"),
        ("£\u0665", "not a price"),
        ("nan", "not a price"),
        ("1e5", "not a price"),
        ("Infinity", "not a price"),
    ],
)
def test_what_is_no_price_is_refused(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_price(written)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.decimals(min_value=0, max_value=10**12 - 1, places=2))
def test_every_amount_survives_both_ways_of_writing_it(amount: Decimal) -> None:
    english = f"{amount:,.2f}"
    continental = english.translate(str.maketrans(",.", ".,"))
    assert parse_price(f"£{english}") == (amount, "GBP")
    assert parse_price(f"€{continental}") == (amount, "EUR")
