"""Spellings of prices in many currencies: exact, or refused, and never another amount."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import pytest
from babel import Locale
from babel.core import UnknownLocaleError
from babel.localedata import locale_identifiers
from babel.numbers import UnsupportedNumberingSystemError, format_currency, get_currency_precision
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl.clean.currencies import CURRENCIES, checked_home_currency
from etl.clean.prices import Price, decimal_separator, parse_price
from models.domain.errors import SetupError

SPELLINGS = [
    ("₹500", "500.00", "INR"),
    ("₹1,25,000.50", "125000.50", "INR"),
    ("₹ 12,34,567", "1234567.00", "INR"),
    ("INR 1,25,000", "125000.00", "INR"),
    ("Rs. 1,25,000/- INR", "125000.00", "INR"),
    ("¥1000", "1000.00", "JPY"),
    ("￥1,000", "1000.00", "JPY"),
    ("￥１，０００", "1000.00", "JPY"),  # noqa: RUF001 - as Japanese keyboards write it
    ("1000円", "1000.00", "JPY"),
    ("12,800 円", "12800.00", "JPY"),
    ("JPY 1000.00", "1000.00", "JPY"),
    ("JP¥1,000", "1000.00", "JPY"),
    ("CN¥12.50", "12.50", "CNY"),
    ("12.50元", "12.50", "CNY"),
    ("zł 20", "20.00", "PLN"),
    ("20 zł", "20.00", "PLN"),
    ("1 249,99\u00a0zł", "1249.99", "PLN"),
    ("1.249,99 PLN", "1249.99", "PLN"),
    ("US$25", "25.00", "USD"),
    ("US $25.50", "25.50", "USD"),
    ("$25", "25.00", "USD"),
    ("25 $", "25.00", "USD"),
    ("15.00 USD", "15.00", "USD"),
    ("USD15", "15.00", "USD"),
    ("$1,250.00 USD", "1250.00", "USD"),
    ("USD $25", "25.00", "USD"),
    ("$.99", "0.99", "USD"),
    ("CA$25", "25.00", "CAD"),
    ("C$25.10", "25.10", "CAD"),
    ("$25 CAD", "25.00", "CAD"),
    ("25,10 $CA", "25.10", "CAD"),
    ("A$25", "25.00", "AUD"),
    ("AU $25.00", "25.00", "AUD"),
    ("R$ 1.250,50", "1250.50", "BRL"),
    ("R$25", "25.00", "BRL"),
    ("R 100", "100.00", "ZAR"),
    ("R1 250,50", "1250.50", "ZAR"),
    ("R 1\u00a0250.50", "1250.50", "ZAR"),
    ("CHF 1’250", "1250.00", "CHF"),  # noqa: RUF001 - as Swiss shops write it
    ("CHF 1'250.50", "1250.50", "CHF"),
    ("Fr. 12.–", "12.00", "CHF"),  # noqa: RUF001 - the same
    ("1’250.50 CHF", "1250.50", "CHF"),  # noqa: RUF001 - the same
    ("100 SEK", "100.00", "SEK"),
    ("1\u202f250,50 SEK", "1250.50", "SEK"),
    ("100:- SEK", "100.00", "SEK"),
    ("NOK 100,-", "100.00", "NOK"),
    ("kr 100,- NOK", "100.00", "NOK"),
    ("1.250,50 kr. DKK", None, ""),
    ("1.250,50 DKK", "1250.50", "DKK"),
    ("1 250 Kč", "1250.00", "CZK"),
    ("12 500 Ft", "12500.00", "HUF"),
    ("₺1.250,50", "1250.50", "TRY"),
    ("₩12,000", "12000.00", "KRW"),
    ("KWD 12.50", "12.50", "KWD"),
    ("KWD 1,250.500", "1250.50", "KWD"),
    ("KWD 1.250", None, ""),
    ("KWD 0.125", None, ""),
    ("¥10.50", None, ""),
    (".99", "0.99", "GBP"),
    ("£.99", "0.99", "GBP"),
    ("£34.0000", "34.00", "GBP"),
    ("34.0000", "34.00", "GBP"),
    ("£12.5000", "12.50", "GBP"),
    ("1,250.0000", "1250.00", "GBP"),
    ("1250.000", "1250.00", "GBP"),
    ("0.000", "0.00", "GBP"),
    ("34.000", "34000.00", "GBP"),
    ("£12.3456", None, ""),
    ("1,250.001", None, ""),
    (".500", None, ""),
    ("1.250,–", "1250.00", "GBP"),  # noqa: RUF001 - the same
    ("€ 1.250,–", "1250.00", "EUR"),  # noqa: RUF001 - the same
    ("EUR 12", "12.00", "EUR"),
    ("1,25 EUR", "1.25", "EUR"),
    ("1\u202f250,00\u00a0€", "1250.00", "EUR"),
    ("12€50", "12.50", "EUR"),
    ("1 250€50", "1250.50", "EUR"),
    ("12 euros", "12.00", "EUR"),
    ("0", "0.00", "GBP"),
    ("0,00 €", "0.00", "EUR"),
    ("£5 ono", "5.00", "GBP"),
    ("£5-£10", None, ""),
    ("5-10 €", None, ""),
    ("from £5", None, ""),
    ("£5+", None, ""),
    ("£5 each", None, ""),
    ("2 x £5", None, ""),
    ("1e3", None, ""),
    ("0x10", None, ""),
    ("5²", None, ""),
    ("1/2", None, ""),
    ("10%", None, ""),
    ("100 kr", None, ""),
    ("kr 100,-", None, ""),
    ("Rs 500", None, ""),
    ("Rs.50", None, ""),
    ("try 5", None, ""),
    ("5 ft", None, ""),
    ("£12 50", None, ""),
    ("12.50.00", None, ""),
    ("1.25.000", None, ""),
    ("£5 $5", None, ""),
    ("€5 USD", None, ""),
]


@pytest.mark.parametrize(("written", "amount", "currency"), SPELLINGS)
def test_spellings_are_exact_or_refused(written: str, amount: str | None, currency: str) -> None:
    if amount is None:
        with pytest.raises(ValueError, match=r"^(is|does|may) "):
            parse_price(written)
    else:
        assert parse_price(written) == Price(Decimal(amount), currency)


def test_the_table_has_many_currencies() -> None:
    assert len(SPELLINGS) >= 66
    assert len({currency for _, _, currency in SPELLINGS}) >= 12


@pytest.mark.parametrize(
    ("written", "home", "amount", "currency"),
    [
        ("100 kr", "SEK", "100.00", "SEK"),
        ("kr 100,-", "NOK", "100.00", "NOK"),
        ("1.250,50 kr.", "DKK", "1250.50", "DKK"),
        ("100:-", "SEK", "100.00", "SEK"),
        ("$25", "CAD", "25.00", "CAD"),
        ("US$25", "CAD", "25.00", "USD"),
        ("$25", "EUR", "25.00", "USD"),
        ("¥25.50", "CNY", "25.50", "CNY"),
        ("JPY 25", "CNY", "25.00", "JPY"),
        ("Rs.50", "INR", "50.00", "INR"),
        ("Rs. 1,25,000/-", "INR", "125000.00", "INR"),
        ("1,25,000", "INR", "125000.00", "INR"),
        ("Rs 50", "PKR", "50.00", "PKR"),
        ("40", "EUR", "40.00", "EUR"),
        ("Free", "EUR", "0.00", "EUR"),
    ],
)
def test_the_home_currency_settles_what_is_shared(
    written: str, home: str, amount: str, currency: str
) -> None:
    assert parse_price(written, home_currency=home) == Price(Decimal(amount), currency)


def test_a_home_currency_that_is_none_is_refused() -> None:
    assert checked_home_currency("SEK") == "SEK"
    with pytest.raises(SetupError, match="MARKETLENS_CURRENCY is XYZ"):
        checked_home_currency("XYZ")


@pytest.mark.parametrize(
    ("written", "decimal", "amount"),
    [
        ("34.000", ".", "34.00"),
        ("34.000", ",", "34000.00"),
        ("34,000", ",", "34.00"),
        ("34,000", ".", "34000.00"),
        ("34.500", ".", "34.50"),
        ("1,250.00", ",", "1250.00"),
        ("12,50", ".", "12.50"),
        ("KWD 1.250", ".", "1.25"),
        ("KWD 1.250", ",", "1250.00"),
    ],
)
def test_other_prices_settle_what_three_digits_are(
    written: str, decimal: Literal[".", ","], amount: str
) -> None:
    price = parse_price(written, decimal=decimal)
    assert price is not None
    assert price.amount == Decimal(amount)


def test_three_decimals_that_are_not_pence_are_refused() -> None:
    with pytest.raises(ValueError, match="decimals"):
        parse_price("34.567", decimal=".")


@pytest.mark.parametrize(
    ("lines", "separator"),
    [
        ([], None),
        (["34.000", "1,250", "5", "Free", "rubbish", ""], None),
        (["34.000", "12.5000"], "."),
        (["1,250,000"], "."),
        (["₹1,25,000"], "."),
        (["1.250.000 €"], ","),
        (["1.250", "100,-"], ","),
        (["34,000", "0,990"], ","),
        (["12.50", "12,50"], None),
        ([*["12.50"] * 21, "12,50"], "."),
    ],
)
def test_what_stands_before_the_pence(lines: list[str], separator: str | None) -> None:
    assert decimal_separator(lines) == separator


def _amounts(currency: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(
        min_value=0, max_value=10**9, places=min(get_currency_precision(currency), 2)
    )


def _locales() -> Iterator[str]:
    for name in sorted(locale_identifiers()):
        try:
            Locale.parse(name)
        except UnknownLocaleError:
            continue
        yield name


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(st.data(), st.sampled_from(list(_locales())), st.sampled_from(sorted(CURRENCIES)))
def test_no_locale_s_way_of_writing_is_read_as_another_amount(
    data: st.DataObject, locale: str, currency: str
) -> None:
    amount = data.draw(_amounts(currency))
    try:
        written = format_currency(amount, currency, locale=locale)
    except UnsupportedNumberingSystemError:
        return
    try:
        price = parse_price(written, home_currency=currency)
    except ValueError:
        return
    assert price == Price(amount.quantize(Decimal("0.01")), currency), written


@pytest.mark.parametrize(
    ("locale", "currency"),
    [
        ("en_GB", "GBP"), ("en_US", "USD"), ("de_DE", "EUR"), ("fr_FR", "EUR"), ("de_CH", "CHF"),
        ("en_IN", "INR"), ("ja_JP", "JPY"), ("pl_PL", "PLN"), ("pt_BR", "BRL"), ("sv_SE", "SEK"),
        ("nb_NO", "NOK"), ("da_DK", "DKK"), ("cs_CZ", "CZK"), ("hu_HU", "HUF"), ("tr_TR", "TRY"),
        ("en_ZA", "ZAR"), ("en_CA", "CAD"), ("fr_CA", "CAD"), ("en_AU", "AUD"), ("zh_CN", "CNY"),
        ("ko_KR", "KRW"), ("it_IT", "EUR"), ("nl_NL", "EUR"), ("fi_FI", "EUR"), ("ru_RU", "RUB"),
    ],
)  # fmt: skip
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_well_known_locales_are_read(locale: str, currency: str, data: st.DataObject) -> None:
    amount = data.draw(_amounts(currency))
    written = format_currency(amount, currency, locale=locale)
    assert parse_price(written, home_currency=currency) == (amount, currency), written


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@example("Rs.50")
@example("1.000\u00a0")
@given(st.text("0123456789.,' ’-–£€$¥krRsUSDNOKzł/", max_size=14))  # noqa: RUF001
def test_nothing_else_is_raised_and_amounts_keep_their_digits(line: str) -> None:
    try:
        price = parse_price(line)
    except ValueError:
        return
    if price is None:
        return
    digits = "".join(filter(str.isdigit, line)).strip("0")
    assert "".join(filter(str.isdigit, str(price.amount))).strip("0") == digits
