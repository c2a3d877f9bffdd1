"""Which filters leave active listings out."""

from decimal import Decimal

import pytest

from models.domain.filters import ListingFilter, Near
from models.domain.types import ListingStatus


@pytest.mark.parametrize(
    ("stated", "narrows"),
    [
        (ListingFilter(), False),
        (ListingFilter(status=tuple(ListingStatus)), False),
        (ListingFilter(status=(ListingStatus.SOLD,)), True),
        (ListingFilter(category="Home"), True),
        (ListingFilter(price_min=Decimal(0)), True),
        (ListingFilter(price_max=Decimal(0)), True),
        (ListingFilter(currency="GBP"), True),
        (ListingFilter(near=Near(0, 0, 1)), True),
        (ListingFilter(exclude_seller="sam", status=tuple(ListingStatus)), True),
    ],
)
def test_a_filter_narrows_when_an_active_listing_may_not_pass(
    stated: ListingFilter, narrows: bool
) -> None:
    assert stated.narrows is narrows
