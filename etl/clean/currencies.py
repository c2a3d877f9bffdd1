"""Currencies by their ISO 4217 codes, and what people write for them.

Symbols are those of CLDR and of shops' exports. One that several currencies share is settled by
the home currency, else by what most people mean by it, if there is such a thing.
Source of the minor units: ISO 4217, https://www.six-group.com/en/products-services/financial-information/data-standards.html
"""

from typing import Final

from models.domain.errors import SetupError

HOME_CURRENCY: Final = "GBP"
"""What a price without a symbol is in, by default."""

# fmt: off
CURRENCIES: Final = frozenset({
    "AED", "ARS", "AUD", "BDT", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CRC",
    "CZK", "DKK", "EGP", "EUR", "GBP", "GEL", "GHS", "HKD", "HUF", "IDR", "ILS", "INR", "ISK",
    "JOD", "JPY", "KES", "KRW", "KWD", "KZT", "LKR", "MAD", "MXN", "MYR", "NGN", "NOK", "NPR",
    "NZD", "OMR", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SEK", "SGD",
    "THB", "TND", "TRY", "TWD", "UAH", "USD", "UYU", "VND", "ZAR",
})
# fmt: on
"""The ISO 4217 codes that a price may be in."""

# Others have two digits behind the separator.
_MINOR_UNITS: Final = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "VND"), 0),
    **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3),
}

LAKH_CURRENCIES: Final = frozenset({"BDT", "INR", "LKR", "NPR", "PKR"})
"""Currencies whose amounts may be grouped as 12,34,567."""

# fmt: off
_DOLLARS: Final = (
    "USD", "ARS", "AUD", "CAD", "CLP", "COP", "HKD", "MXN", "NZD", "SGD", "TWD", "UYU",
)
# fmt: on

# What is written, in lower case, and the currencies that it may stand for. Where there are several
# and the home currency is none of them, it is the first, except for those in `_UNDECIDED`.
_SYMBOLS: Final[dict[str, tuple[str, ...]]] = {
    "£": ("GBP",),
    "€": ("EUR",), "euro": ("EUR",), "euros": ("EUR",),
    "$": _DOLLARS,
    "us$": ("USD",), "$us": ("USD",), "usd$": ("USD",),
    "a$": ("AUD",), "au$": ("AUD",), "$au": ("AUD",),
    "c$": ("CAD",), "ca$": ("CAD",), "$ca": ("CAD",),
    "nz$": ("NZD",), "$nz": ("NZD",),
    "hk$": ("HKD",), "$hk": ("HKD",),
    "s$": ("SGD",), "sg$": ("SGD",), "$sg": ("SGD",),
    "nt$": ("TWD",),
    "mx$": ("MXN",), "$mx": ("MXN",),
    "r$": ("BRL",),
    "¥": ("JPY", "CNY"), "円": ("JPY",), "jp¥": ("JPY",), "cn¥": ("CNY",), "rmb": ("CNY",),
    "元": ("CNY", "TWD", "HKD"),
    "kr": ("SEK", "NOK", "DKK", "ISK"), "kr.": ("SEK", "NOK", "DKK", "ISK"),
    "zł": ("PLN",), "zl": ("PLN",),
    "kč": ("CZK",), "kc": ("CZK",),
    "lei": ("RON",),
    "лв": ("BGN",), "лв.": ("BGN",),
    "fr.": ("CHF",), "sfr": ("CHF",), "sfr.": ("CHF",),
    "₹": ("INR",),
    "₨": ("INR", "PKR", "LKR", "NPR"),
    "rs": ("INR", "PKR", "LKR", "NPR"), "rs.": ("INR", "PKR", "LKR", "NPR"),
    "₩": ("KRW",), "원": ("KRW",),
    "₺": ("TRY",),
    "₽": ("RUB",), "руб": ("RUB",), "руб.": ("RUB",),  # noqa: RUF001 - Cyrillic
    "₴": ("UAH",), "грн": ("UAH",), "грн.": ("UAH",),
    "₪": ("ILS",), "₫": ("VND",), "฿": ("THB",), "₦": ("NGN",), "₱": ("PHP",), "₸": ("KZT",),
    "₾": ("GEL",), "₡": ("CRC",), "৳": ("BDT",), "ksh": ("KES",),
}  # fmt: skip

# Only so spelt: in lower case they may be words, units or a slip of the pen.
_EXACT_CODES: Final = frozenset({"COP", "GEL", "MAD", "PEN", "TRY"})
_EXACT: Final[dict[str, tuple[str, ...]]] = {
    "R": ("ZAR",), "RM": ("MYR",), "Rp": ("IDR",), "TL": ("TRY",), "Ft": ("HUF",),
    "S/": ("PEN",), "S/.": ("PEN",),
    **{code: (code,) for code in _EXACT_CODES},
}  # fmt: skip

_UNDECIDED: Final = frozenset({"kr", "kr.", "rs", "rs.", "₨"})

_ANY_CASE: Final = _SYMBOLS | {code.casefold(): (code,) for code in CURRENCIES - _EXACT_CODES}

ANY_CASE: Final = tuple(_ANY_CASE)
"""What stands for a currency in any case."""

EXACT_CASE: Final = tuple(_EXACT)
"""What stands for a currency in this case only."""


def checked_home_currency(currency: str) -> str:
    """The currency. Raises SetupError when prices can't be in it."""
    if currency not in CURRENCIES:
        raise SetupError(
            f"MARKETLENS_CURRENCY is {currency}, which is none of {', '.join(sorted(CURRENCIES))}."
        )
    return currency


def minor_units(currency: str) -> int:
    """How many digits its amounts have behind the decimal separator."""
    return _MINOR_UNITS.get(currency, 2)


def settle(written: list[str], home_currency: str) -> str:
    """The one currency that all of these can stand for; the home currency if there are none.

    Raises ValueError with the reason when there is none, or no telling which.
    """
    if not written:
        return home_currency
    candidates = [_candidates(text) for text in written]
    common = [code for code in candidates[0] if all(code in codes for codes in candidates)]
    if not common:
        raise ValueError("is in two currencies")
    if home_currency in common:
        return home_currency
    if len(common) > 1 and all(text.casefold() in _UNDECIDED for text in written):
        raise ValueError(f"does not say which of {', '.join(common)} it is in")
    return common[0]


def _candidates(written: str) -> tuple[str, ...]:
    return _EXACT.get(written) or _ANY_CASE[written.casefold()]
