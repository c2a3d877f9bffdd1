"""Towns are found by name and what they are in; none is better than a wrong one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.catalogue.places import Coordinates
from etl.load.gazetteer import Area, Town, Towns, key
from etl.load.geocode import offline_gazetteer

LEEDS = Town(53.8, -1.55, "GB", "ENG", 800_000)
POOLE = Town(50.7, -2.0, "GB", "ENG", 150_000)
NEWPORT_WALES = Town(51.6, -3.0, "GB", "WLS", 130_000)
NEWPORT_ISLE = Town(50.7, -1.3, "GB", "ENG", 25_000)
PARIS = Town(48.9, 2.35, "FR", "11", 2_100_000)
PARIS_TEXAS = Town(33.7, -95.6, "US", "TX", 25_000)
DORSET_VERMONT = Town(43.3, -73.1, "US", "VT", 2_000)
HEADINGLEY_ABROAD = Town(49.9, -97.4, "CA", "03", 3_000)

TOWNS = Towns(
    named={
        "leeds": [LEEDS],
        "poole": [POOLE],
        "newport": [NEWPORT_ISLE, NEWPORT_WALES],
        "paris": [PARIS, PARIS_TEXAS],
        "dorset": [DORSET_VERMONT],
        "headingley": [HEADINGLEY_ABROAD],
    },
    other_names={"leodis": [LEEDS], "poole": [LEEDS]},
    areas={"wales": [Area("GB", "WLS")], "france": [Area("FR")], "texas": [Area("US", "TX")]},
    at_home=frozenset({"GB"}),
)


@pytest.mark.parametrize(
    ("name", "town"),
    [
        ("Leeds", LEEDS),
        ("  LEEDS ", LEEDS),
        ("Leodis", LEEDS),
        # Unknown is what it is in, and there is one.
        ("Poole, Dorset", POOLE),
        ("Old Town, Poole, Dorset", POOLE),
        ("Newport, Wales", NEWPORT_WALES),
        # One is five times as large as the other.
        ("Newport", NEWPORT_WALES),
        ("Newport, Shropshire", None),
        ("Paris", PARIS),
        ("Paris, France", PARIS),
        ("Paris, Texas", PARIS_TEXAS),
        ("Headingley, Leeds", LEEDS),
        # A small town abroad is not meant unless that is said.
        ("Headingley", None),
        ("Dorset", None),
        ("Nowhere, Dorset", None),
        ("Atlantis", None),
        ("Leeds, France", None),
        (", ,", None),
        ("", None),
    ],
)
def test_towns(name: str, town: Town | None) -> None:
    assert TOWNS.locate(name) == (town and town.coordinates)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("St. Albans", "Saint Albans"),
        ("King's Lynn", "Kings Lynn"),
        ("M\u00fcnchen", "Munchen"),
        ("Stratford-upon-Avon", "stratford upon avon"),
    ],
)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert key(one) == key(other)


@given(st.text())
def test_no_name_is_an_error(name: str) -> None:
    assert key(key(name)) == key(name)
    TOWNS.locate(name)


def test_real_towns_are_found_by_a_process_of_its_own() -> None:
    found = offline_gazetteer(
        ["Leeds", "Poole, Dorset", "Lyon, France", "Atlantis, Nowhere"], "GBP"
    )
    assert {name: (round(lat), round(lon)) for name, (lat, lon) in found.items()} == {
        "Leeds": (54, -2),
        "Poole, Dorset": (51, -2),
        "Lyon, France": (46, 5),
    }
    assert all(isinstance(one, Coordinates) for one in found.values())
