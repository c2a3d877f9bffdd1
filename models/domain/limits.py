"""Limits of an offer's fields, and how its price and place are read. Standard library only."""

from decimal import Decimal
from typing import Final

MAX_TITLE: Final = 500
MAX_DESCRIPTION: Final = 50_000
MAX_LOCATION: Final = 500
MAX_SELLER: Final = 200
"""In characters, as the three above."""

MAX_CATEGORY_NAME: Final = 200
MAX_CATEGORY_PATH: Final = 1_000
MAX_CATEGORY_DEPTH: Final = 10
"""Names in a path; the two above are in characters."""

JOKE_FROM: Final = Decimal(1_000_000)
JOKE_DIGITS: Final = 5


def is_joke_price(amount: Decimal) -> bool:
    """Whether nobody means this price, so that ranking and price bands had better ignore it.

    - A million and more: what a marketplace of used goods offers does not cost that.
    - Digits counted up from one, 12345 or 123456: typed because the form asks for a number.
    - One digit held down, 11111 or 99999.

    Pence do not count, and fewer than five digits never do: 1,234 and 9,999 are real prices.
    """
    if amount >= JOKE_FROM:
        return True
    digits = str(int(amount))
    typed = "123456789".startswith(digits) or len(set(digits)) == 1
    return len(digits) >= JOKE_DIGITS and typed


def split_location(location: str | None) -> tuple[str | None, str | None]:
    """Place and county: `Poole, Dorset` is in Dorset; a lone name is a place.

    Of more than two parts the last is the county: `Old Town, Poole, Dorset`.
    """
    parts = [part for part in map(str.strip, (location or "").split(",")) if part]
    if len(parts) < 2:  # noqa: PLR2004 - a place and a county
        return (parts[0] if parts else None), None
    return ", ".join(parts[:-1]), parts[-1]
