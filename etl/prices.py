"""Prices as sellers write them, to exact amounts."""

import re
from decimal import Decimal
from typing import NamedTuple

# The feed is of a British site: what is free, or has no symbol, is in pounds.
HOME_CURRENCY = "GBP"

NO_PRICE = frozenset({"", "n/a"})
MAX_DIGITS = 12
"""Digits before the decimal point that the database holds."""

_CURRENCIES = {"£": "GBP", "€": "EUR", "$": "USD", "gbp": "GBP", "eur": "EUR", "usd": "USD"}
_SYMBOL = "|".join(map(re.escape, _CURRENCIES))
_PRICE = re.compile(
    rf"(?P<minus>[-\u2212]?)\s?(?P<before>{_SYMBOL})?\s?(?P<minus_inside>[-\u2212]?)"
    rf"(?P<number>[0-9.,]+)\s?(?P<after>{_SYMBOL})?"
)
# Three digits behind a separator are thousands, one or two are pence: whoever writes `1.250` for a
# price does not mean a pound and a quarter of one.
_NUMBER = re.compile(
    r"(?P<whole>[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.(?P<pence>[0-9]{1,2}))?"
    r"|(?P<whole_eu>[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+)(?:,(?P<pence_eu>[0-9]{1,2}))?"
)


class Price(NamedTuple):
    """An amount with two decimals, in a currency by its ISO 4217 code."""

    amount: Decimal
    currency: str


def parse_price(text: str) -> Price | None:
    """The price in a line of text; None when there is none, which is not the same as free.

    Takes `£1,250.00`, `€1.250,00`, `12 EUR`, `Free`, `N/A`. Raises ValueError with the reason
    when the text is not a price, or one that is negative or too large.
    """
    stated = text.strip().casefold()
    if stated in NO_PRICE:
        return None
    if stated == "free":
        return Price(Decimal("0.00"), HOME_CURRENCY)
    price = _PRICE.fullmatch(stated)
    number = _NUMBER.fullmatch(price["number"]) if price else None
    if price is None or number is None or (price["before"] and price["after"]):
        raise ValueError("is not a price")
    if price["minus"] or price["minus_inside"]:
        raise ValueError("is negative")
    symbol = price["before"] or price["after"]
    return Price(_amount(number), _CURRENCIES[symbol] if symbol else HOME_CURRENCY)


def _amount(number: re.Match[str]) -> Decimal:
    whole = re.sub(r"[.,]", "", number["whole"] or number["whole_eu"]).lstrip("0")
    if len(whole) > MAX_DIGITS:
        raise ValueError(f"has more than {MAX_DIGITS} digits before the decimal point")
    pence = number["pence"] or number["pence_eu"] or ""
    return Decimal(f"{whole or '0'}.{pence:0<2}")
