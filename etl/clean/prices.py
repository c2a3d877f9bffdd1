"""Prices as sellers write them, to exact amounts."""

import re
from decimal import Decimal
from typing import NamedTuple

# The feed is of a British site: what is free, or has no symbol, is in pounds.
HOME_CURRENCY = "GBP"

# fmt: off
CURRENCIES = frozenset({
    "AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HUF", "INR", "JPY", "NOK", "NZD", "PLN",
    "RON", "SEK", "USD", "ZAR",
})
# fmt: on
"""The ISO 4217 codes that a price may be in."""

# Spellings of a missing price; "poa" is "price on application".
NO_PRICE = frozenset({"", "-", "n/a", "na", "nan", "none", "null", "poa"})

_SYMBOLS = {"£": "GBP", "€": "EUR", "$": "USD"}
_CURRENCY = "|".join([*map(re.escape, _SYMBOLS), *sorted(map(str.lower, CURRENCIES))])
# Three digits after a separator are thousands, one or two are pence: `1.250` is not a pound and a
# quarter. The two separators have to differ.
_PRICE = re.compile(
    rf"""
    (?P<minus>[-\u2212]?) \s? (?P<before>{_CURRENCY})? \s? (?P<minus_inside>[-\u2212]?)
    (?P<whole> [0-9]+ | [1-9][0-9]{{0,2}} (?P<gap>[.,' ]) [0-9]{{3}} (?:(?P=gap)[0-9]{{3}})* )
    (?: (?!(?P=gap)) [.,] (?P<pence>[0-9]{{1,2}}) )?
    \s? (?P<after>{_CURRENCY})?
    (?: \s? (?: o\.?n\.?o\.? | o\.?b\.?o\.? | or\s(?:nearest|best)\soffer ) )?
    """,
    re.VERBOSE,
)


class Price(NamedTuple):
    """An amount with two decimals, in a currency by its ISO 4217 code."""

    amount: Decimal
    currency: str


def parse_price(line: str) -> Price | None:
    """The price in a clean line of text; None when there is none, which is not the same as free.

    Takes `£1,250.00`, `€1.250,00`, `1 250 EUR`, `£5 ono`, `Free`, `N/A`. Raises ValueError with
    the reason when the text is not a price. An amount may be negative or implausibly large.
    """
    stated = line.casefold()
    if stated in NO_PRICE:
        return None
    if stated == "free":
        return Price(Decimal("0.00"), HOME_CURRENCY)
    price = _PRICE.fullmatch(stated)
    if price is None:
        raise ValueError("is not a price")
    currencies = {_code(stated) for stated in price.group("before", "after") if stated}
    if len(currencies) > 1:
        raise ValueError("is in two currencies")
    whole = re.sub("[^0-9]", "", price["whole"])
    amount = Decimal(f"{whole}.{price['pence'] or '':0<2}")
    if price["minus"] or price["minus_inside"]:
        amount = -amount
    return Price(amount, *(currencies or {HOME_CURRENCY}))


def _code(currency: str) -> str:
    return _SYMBOLS.get(currency) or currency.upper()
