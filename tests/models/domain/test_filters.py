"""Filters as jobs carry them."""

import json
from decimal import Decimal

import pytest

from models.domain.filters import ListingFilter, Near
from models.domain.types import ListingStatus

EVERYTHING = ListingFilter(
    category="Home / Lamps",
    price_min=Decimal("0.10"),
    price_max=Decimal("12.50"),
    currency="GBP",
    near=Near(51.5, -0.1, 5.5),
    exclude_seller="sam",
    status=(ListingStatus.ACTIVE, ListingStatus.SOLD),
)


@pytest.mark.parametrize("stated", [ListingFilter(), EVERYTHING])
def test_a_filter_comes_back_from_json_as_it_was(stated: ListingFilter) -> None:
    payload = json.loads(json.dumps(stated.to_payload()))
    assert ListingFilter.from_payload(payload) == stated


def test_what_is_not_asked_for_is_not_in_the_payload() -> None:
    assert ListingFilter(currency="GBP").to_payload() == {"currency": "GBP", "status": ["active"]}


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
