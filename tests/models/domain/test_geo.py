"""Distances on the globe, and the boxes around circles."""

from math import asin, pi, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.geo import RADIUS_KM, box_around, haversine, haversine_of

LATITUDES = st.floats(-90, 90) | st.sampled_from([-90.0, 0.0, 90.0])
LONGITUDES = st.floats(-180, 180) | st.sampled_from([-180.0, 0.0, 180.0])
DEGREE = RADIUS_KM * pi / 180


def kilometres(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    half = sqrt(haversine(latitude, longitude, to_latitude, to_longitude))
    return 2 * RADIUS_KM * asin(half)


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ((0, 0), (0, 1), DEGREE),
        ((0, 0), (1, 0), DEGREE),
        ((0, 179.5), (0, -179.5), DEGREE),
        ((89.5, 0), (89.5, 180), DEGREE),
        ((90, 0), (-90, 0), 180 * DEGREE),
        ((12, 34), (-12, -146), 180 * DEGREE),
        ((51.5, -0.1), (51.5, -0.1), 0),
        # Published by R. W. Sinnott's readers ever since: Nashville and Los Angeles airports.
        ((36.12, -86.67), (33.94, -118.40), 2886.45),
    ],
)
def test_distances(one: tuple[float, float], other: tuple[float, float], km: float) -> None:
    assert kilometres(*one, *other) == pytest.approx(km, abs=0.01)
    assert kilometres(*other, *one) == pytest.approx(km, abs=0.01)


def test_a_metre_is_told_from_two() -> None:
    assert kilometres(51.5, -0.1, 51.5 + 0.001 / DEGREE, -0.1) == pytest.approx(0.001, rel=1e-6)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES, st.floats(0, 21_000))
def test_whatever_is_within_a_circle_is_in_its_box(
    latitude: float, longitude: float, to_latitude: float, to_longitude: float, km: float
) -> None:
    there = kilometres(latitude, longitude, to_latitude, to_longitude)
    # Half of the circles go through the other point, give or take what is rounded.
    for radius in (km, there):
        if haversine(latitude, longitude, to_latitude, to_longitude) > haversine_of(radius):
            continue
        box = box_around(latitude, longitude, radius)
        assert box.south <= to_latitude <= box.north
        if box.west <= box.east:
            assert box.west <= to_longitude <= box.east
        else:
            assert to_longitude >= box.west or to_longitude <= box.east


def test_a_box_is_no_larger_than_it_must_be() -> None:
    box = box_around(60, 0, DEGREE)
    assert (box.south, box.north) == pytest.approx((59, 61), abs=1e-6)
    # Meridians touch the circle north of its centre, where they are closer together.
    assert box.east == pytest.approx(2.0003, abs=1e-3)
    assert box.west == -box.east


def test_a_box_that_holds_a_pole_holds_all_longitudes() -> None:
    box = box_around(89.5, 10, DEGREE)
    assert (box.north, box.west, box.east) == (90, -180, 180)
    assert box.south == pytest.approx(88.5, abs=1e-6)
