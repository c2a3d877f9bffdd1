"""Which filters leave active listings out."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from models.domain.filters import ListingFilter, Near
from models.domain.searches.attributes import AttributeCondition
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
        (ListingFilter(seller="sam"), True),
        (ListingFilter(created_after=datetime(2030, 1, 1, tzinfo=UTC)), True),
        (ListingFilter(attributes=(AttributeCondition("size", ("M",)),)), True),
        (ListingFilter(exclude_seller="sam", status=tuple(ListingStatus)), True),
    ],
)
def test_a_filter_narrows_when_an_active_listing_may_not_pass(
    stated: ListingFilter, narrows: bool
) -> None:
    assert stated.narrows is narrows


def test_text_is_by_the_rules_also_that_of_a_stored_job() -> None:
    category, seller = "Cafe\u0301>The\u0301", "sam\xa0 4711"
    expected = ListingFilter(category="Caf\u00e9 / Th\u00e9", exclude_seller="sam 4711")
    assert ListingFilter(category=category, exclude_seller=seller) == expected
    stored = {"category": category, "exclude_seller": seller}
    assert TypeAdapter(ListingFilter).validate_python(stored) == expected
    nothing = ListingFilter(category=" > ", exclude_seller="\u200b")
    assert (nothing.category, nothing.exclude_seller) == (None, None)
    assert not nothing.narrows
