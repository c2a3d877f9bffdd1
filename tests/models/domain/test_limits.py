from decimal import Decimal

import pytest

from models.domain.limits import is_placeholder_price, split_location


@pytest.mark.parametrize(
    ("amount", "placeholder"),
    [
        ("0.00", False),
        ("1.00", False),
        ("1234.00", False),
        ("9999.00", False),
        ("11112.00", False),
        ("12346.00", False),
        ("54321.00", False),
        ("250000.00", False),
        ("999998.99", False),
        ("11111.00", True),
        ("99999.99", True),
        ("111111.00", True),
        ("12345.00", True),
        ("12345.67", True),
        ("123456.00", True),
        ("1000000.00", True),
        ("1234567.00", True),
        ("999999999999.99", True),
    ],
)
def test_placeholder_prices_are_distinguished_from_high_ones(
    amount: str, placeholder: bool
) -> None:
    assert is_placeholder_price(Decimal(amount)) is placeholder


@pytest.mark.parametrize(
    ("location", "place", "county"),
    [
        ("Poole, Dorset", "Poole", "Dorset"),
        ("Cardiff, Cardiff", "Cardiff", "Cardiff"),
        ("Poole,Dorset", "Poole", "Dorset"),
        ("Poole", "Poole", None),
        ("Old Town, Poole, Dorset", "Old Town, Poole", "Dorset"),
        ("Poole,", "Poole", None),
        (", Dorset", "Dorset", None),
        (" , ", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_locations_are_a_place_in_a_county(
    location: str | None, place: str | None, county: str | None
) -> None:
    assert split_location(location) == (place, county)
