"""Limits of a listing's fields, and how its price and place are read. Standard library only."""

from decimal import Decimal
from typing import Final

MAX_TITLE: Final = 500
MAX_DESCRIPTION: Final = 50_000
MAX_LOCATION: Final = 500
MAX_SELLER: Final = 200
MAX_EXTERNAL_ID: Final = 200
MAX_USER: Final = 200
"""In characters, as the three above."""

MAX_CATEGORY_NAME: Final = 200
MAX_CATEGORY_PATH: Final = 1_000
MAX_CATEGORY_DEPTH: Final = 10
"""Names in a path; the two above are in characters."""

PLACEHOLDER_FROM: Final = Decimal(1_000_000)
PLACEHOLDER_DIGITS: Final = 5


def is_placeholder_price(amount: Decimal) -> bool:
    """Whether a price is a placeholder, which ranking and price bands should ignore.

    - A million or more, implausible for used goods.
    - Consecutive digits from one: 12345, 123456.
    - A repeated digit: 11111, 99999.

    Pence are ignored. At least five digits are needed: 1,234 and 9,999 are real prices.
    """
    if amount >= PLACEHOLDER_FROM:
        return True
    digits = str(int(amount))
    typed = "123456789".startswith(digits) or len(set(digits)) == 1
    return len(digits) >= PLACEHOLDER_DIGITS and typed


def split_location(location: str | None) -> tuple[str | None, str | None]:
    """Place and county: `Poole, Dorset` is in Dorset; a lone name is a place.

    Of more than two parts the last is the county: `Old Town, Poole, Dorset`.
    """
    parts = [part for part in map(str.strip, (location or "").split(",")) if part]
    if len(parts) < 2:  # noqa: PLR2004 - a place and a county
        return (parts[0] if parts else None), None
    return ", ".join(parts[:-1]), parts[-1]
