from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.clean.prices import parse_price


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
        ("CHF 1'250.50", "1250.50", "CHF"),
        ("£5.00 GBP", "5.00", "GBP"),
        ("£1,250", "1250.00", "GBP"),
        ("£1.250", "1250.00", "GBP"),
        ("1 250,00 €", "1250.00", "EUR"),
        ("£1 250 000", "1250000.00", "GBP"),
        ("£0.00", "0.00", "GBP"),
        ("£007", "7.00", "GBP"),
        ("40", "40.00", "GBP"),
        ("Free", "0.00", "GBP"),
        ("FREE", "0.00", "GBP"),
        ("£5 ono", "5.00", "GBP"),
        ("£5ONO", "5.00", "GBP"),
        ("£1,250.50 o.n.o.", "1250.50", "GBP"),
        ("12 EUR OBO", "12.00", "EUR"),
        ("£5 or nearest offer", "5.00", "GBP"),
        ("£999,999,999,999.99", "999999999999.99", "GBP"),
        ("-£5.00", "-5.00", "GBP"),
        ("£-5.00", "-5.00", "GBP"),
        ("\u2212£5", "-5.00", "GBP"),
        ("£1000000000000", "1000000000000.00", "GBP"),
    ],
)
def test_prices_are_exact_amounts_in_a_currency(written: str, amount: str, currency: str) -> None:
    price = parse_price(written)
    assert price is not None
    assert (str(price.amount), price.currency) == (amount, currency)


@pytest.mark.parametrize("written", ["N/A", "n/a", "", "-", "None", "NaN", "null", "POA"])
def test_no_price_is_not_zero(written: str) -> None:
    assert parse_price(written) is None


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("ask me", "not a price"),
        ("£", "not a price"),
        ("£5 each", "not a price"),
        ("£5 - £10", "not a price"),
        ("50p", "not a price"),
        ("£5.123.4", "not a price"),
        ("£12.3456", "not a price"),
        ("£1,250,00", "not a price"),
        ("£0.999", "not a price"),
        ("£1,25,000", "not a price"),
        ("£12 50", "not a price"),
        ("XYZ 5", "not a price"),
        ("£5€", "two currencies"),
        ("£\u0665", "not a price"),
        ("1e5", "not a price"),
        ("Infinity", "not a price"),
    ],
)
def test_what_is_no_price_is_refused(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_price(written)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.decimals(min_value=0, max_value=10**12 - 1, places=2))
def test_every_amount_survives_every_way_of_writing_it(amount: Decimal) -> None:
    english = f"{amount:,.2f}"
    continental = english.translate(str.maketrans(",.", ".,"))
    spaced = english.translate(str.maketrans(",.", " ,"))
    assert parse_price(f"£{english}") == (amount, "GBP")
    assert parse_price(f"€{continental}") == (amount, "EUR")
    assert parse_price(f"{spaced} EUR") == (amount, "EUR")
