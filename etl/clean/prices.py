"""Prices as sellers and shops write them, to exact amounts.

The grammar is strict: what can be read in two ways is refused, because a listing without a price
is better than one with a wrong price. So no library is used that looks for a price anywhere in a
text (price-parser reads `£5-£10` as 5).
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from etl.clean.currencies import (
    ANY_CASE,
    EXACT_CASE,
    HOME_CURRENCY,
    LAKH_CURRENCIES,
    minor_units,
    settle,
)

DecimalSeparator = Literal[".", ","]

# Spellings of a missing price, in lower case; "poa" is "price on application".
# fmt: off
NO_PRICE = frozenset({
    "", "-", "--", "\u2013", "\u2014", "#n/a", "n/a", "na", "<na>", "nan", "nil", "none", "null",
    "(null)", r"\n", "poa",
})
# fmt: on

# A separator that all prices but one in this many agree on is that of the table.
_DISSENT = 20

_DECIMALS = 2

# As East Asian keyboards and typesetters write them; NFKC would also turn `5²` into 52.
_PLAIN: Final = str.maketrans(
    {
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000\t", " "),
        "\uff0c": ",",
        "\uff0e": ".",
        "\u2019": "'",
        "\u2212": "-",
        "￥": "¥",
        "￡": "£",
        "\uff04": "$",
        "￦": "₩",
    }
)


def _alternatives(texts: Iterable[str]) -> str:
    # The longest first: in `Rs.50` the dot belongs to the symbol. `AU $25` is eBay's.
    longest_first = sorted(texts, key=len, reverse=True)
    return "|".join(re.escape(text).replace(r"\$", r"[ ]?\$[ ]?") for text in longest_first)


_CURRENCY = rf"(?:(?i:{_alternatives(ANY_CASE)})|{_alternatives(EXACT_CASE)})"
_LINE = re.compile(
    rf"""
    (?P<minus>-?) [ ]? (?P<first>{_CURRENCY})? [ ]? (?P<second>{_CURRENCY})? [ ]?
    (?P<minus_inside>-?)
    (?: (?P<number> (?: (?<![^\W\d_])[.,] )? [0-9] (?:[0-9]|[.,' ](?=[0-9]))* )
        (?P<dash> [.,:] [-–—]{{1,2}} | /- )?
        (?: [ ]? (?P<after>{_CURRENCY}) )?
      | (?P<euros>[0-9](?:[0-9]|[.' ](?=[0-9]))*) € (?P<cents>[0-9]{{2}})
    )
    (?: [ ]? (?i: o\.?n\.?o\.? | o\.?b\.?o\.? | or[ ](?:nearest|best)[ ]offer ) )?
    """,  # noqa: RUF001 - dashes as people write them
    re.VERBOSE,
)
_GROUPED = re.compile(r"[0-9]+|[1-9][0-9]{0,2}(?P<gap>[.,' ])[0-9]{3}(?:(?P=gap)[0-9]{3})*")
_LAKHS = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")
_ONE_SEPARATOR = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")


class Price(NamedTuple):
    """An amount with two decimals, in a currency by its ISO 4217 code."""

    amount: Decimal
    currency: str


class _Number(NamedTuple):
    """Digits before and behind the decimal separator, which is empty where there is none.

    `groups` is what separates thousands, or empty.
    """

    whole: str
    separator: str
    fraction: str
    groups: str


def parse_price(
    line: str, *, decimal: DecimalSeparator | None = None, home_currency: str = HOME_CURRENCY
) -> Price | None:
    """The price in a line of text; None when there is none, which is not the same as free.

    Takes `£1,250.00`, `€1.250,00`, `1 250 EUR`, `CHF 1’250.–`, `₹1,25,000`, `100 kr`, `£5 ono`,
    `12.5000`, `Free`, `N/A`. `decimal` is what the table's other prices have before the pence
    (`decimal_separator`): with it, `34.000` is 34; without, three digits are thousands.
    `home_currency` is that of an amount without a symbol, of `$` if it is one of the dollars, and
    of other symbols that are shared.

    Raises ValueError with the reason when the text is no price, or can be read in two ways. An
    amount may be negative or implausibly large.
    """  # noqa: RUF002 - an apostrophe as Swiss shops write it
    stated = _plain(line)
    if stated.casefold() in NO_PRICE:
        return None
    if stated.casefold() == "free":
        return Price(Decimal("0.00"), home_currency)
    match = _LINE.fullmatch(stated)
    if match is None:
        raise ValueError("is not a price")
    currency = settle(_symbols(match), home_currency)
    number = _number(_digits(match), decimal, currency)
    if number is None:
        raise ValueError("is not a price")
    amount = _amount(number, currency)
    if match["minus"] or match["minus_inside"]:
        amount = -amount
    return Price(amount, currency)


def decimal_separator(lines: Iterable[str]) -> DecimalSeparator | None:
    """What stands before the pence in those of these prices that can be read in one way only.

    None when none of them tells, or too many disagree. Lines that are no prices are passed over.
    """
    counts = {".": 0, ",": 0}
    for line in lines:
        if separator := _evidence(line):
            counts[separator] += 1
    if counts["."] > counts[","] * _DISSENT:
        return "."
    if counts[","] > counts["."] * _DISSENT:
        return ","
    return None


def _plain(line: str) -> str:
    return " ".join(filter(None, line.translate(_PLAIN).split(" ")))


def _evidence(line: str) -> str:
    match = _LINE.fullmatch(_plain(line))
    if match is None or match["euros"]:
        return ""
    digits = _digits(match)
    if _ONE_SEPARATOR.fullmatch(digits):
        return ""
    number = _number(digits, None, "INR")
    if number is None:
        return ""
    if number.separator:
        return number.separator
    return {".": ",", ",": "."}.get(number.groups, "")


def _symbols(match: re.Match[str]) -> list[str]:
    symbols = [
        symbol.replace(" ", "") for symbol in match.group("first", "second", "after") if symbol
    ]
    return [*symbols, "€"] if match["euros"] else symbols


def _digits(match: re.Match[str]) -> str:
    """The number in the line, its dash (`100,-`) as zeros."""
    if match["euros"]:
        return f"{match['euros']},{match['cents']}"
    dash = match["dash"] or ""
    return match["number"] + (f"{dash[0]}00" if dash.startswith((".", ",")) else "")


def _number(digits: str, decimal: DecimalSeparator | None, currency: str) -> _Number | None:
    """The number in this text of digits and separators; None if it is none."""
    last = max(digits.rfind("."), digits.rfind(","))
    is_ambiguous = _ONE_SEPARATOR.fullmatch(digits) is not None
    if is_ambiguous and decimal is None and minor_units(currency) > _DECIMALS:
        raise ValueError("may be thousands or not")
    is_decimal = last >= 0 and (
        digits[last] == decimal
        if is_ambiguous
        # Thousands have three digits; what comes twice are thousands.
        else digits.count(digits[last]) == 1 and not _is_grouped(digits, currency)
    )
    if not is_decimal:
        is_whole = _is_grouped(digits, currency)
        return _Number(_only_digits(digits), "", "", _gap(digits)) if is_whole else None
    whole, separator, fraction = digits[:last], digits[last], digits[last + 1 :]
    if not fraction.isdigit() or not (_is_grouped(whole, currency) or not whole):
        return None
    # `.500` and `01.500` may be what is left of a larger number.
    if len(fraction) > _DECIMALS and (not whole or (whole[0] == "0" and whole != "0")):
        return None
    return _Number(_only_digits(whole), separator, fraction, _gap(whole))


def _is_grouped(digits: str, currency: str) -> bool:
    """Whether this is a number without decimals, in thousands or without separators."""
    if _GROUPED.fullmatch(digits):
        return True
    return currency in LAKH_CURRENCIES and _LAKHS.fullmatch(digits) is not None


def _only_digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


def _gap(text: str) -> str:
    return next((character for character in text if not character.isdigit()), "")


def _amount(number: _Number, currency: str) -> Decimal:
    units = min(minor_units(currency), _DECIMALS)
    if number.fraction[units:].strip("0"):
        raise ValueError(f"is not a price: it has more than {units} decimals")
    return Decimal(f"{number.whole or '0'}.{number.fraction[:_DECIMALS]:0<2}")
