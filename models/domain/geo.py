"""Great-circle distances on a spherical earth, and bounding boxes of circles.

Standard library only. Degrees are WGS 84, distances kilometres along the surface. For near points
the haversine is numerically stable where the cosine of their angle is not (R. W. Sinnott, "Virtues
of the Haversine", Sky and Telescope 68, 1984); the box about a circle is J. P. Matuschek's,
"Finding Points Within a Distance of a Latitude/Longitude Using Bounding Coordinates".
"""

from dataclasses import dataclass
from math import asin, cos, degrees, pi, radians, sin
from typing import Final

RADIUS_KM: Final = 6371.0088
"""The earth's mean radius (IUGG)."""

_POLE: Final = 90.0

_MILLIMETRE: Final = 1e-6
# About a centimetre, in radians: more than what rounding may move a point on a circle.
_EPSILON: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Box:
    """Latitudes from `south` to `north`, and longitudes from `west` eastward to `east`.

    Where `west` is greater than `east`, the box lies across the antimeridian.
    """

    south: float
    north: float
    west: float
    east: float


def haversine(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """The haversine of the angle between two points, in [0, 1]: its half's sine, squared."""
    parallel = sin(radians(to_latitude - latitude) / 2)
    meridian = sin(radians(to_longitude - longitude) / 2)
    squeeze = cos(radians(latitude)) * cos(radians(to_latitude))
    # Rounding may take that of opposite points above 1.
    return min(1.0, parallel * parallel + squeeze * (meridian * meridian))


def haversine_of(km: float) -> float:
    """The haversine of the angle that spans this distance, which counts as a millimetre at least.

    That of half a globe and more is 1.
    """
    half = sin(min(max(km, _MILLIMETRE) / RADIUS_KM, pi) / 2)
    return half * half


def box_around(latitude: float, longitude: float, km: float) -> Box:
    """The box about the circle of this radius; all longitudes where a pole is in the circle."""
    angle = min(km / RADIUS_KM, pi) + _EPSILON
    south = latitude - degrees(angle)
    north = latitude + degrees(angle)
    if south <= -_POLE or north >= _POLE:
        return Box(max(south, -_POLE), min(north, _POLE), -180.0, 180.0)
    reach = degrees(asin(min(1.0, sin(angle) / cos(radians(latitude)))))
    return Box(south, north, _wrap_longitude(longitude - reach), _wrap_longitude(longitude + reach))


def _wrap_longitude(longitude: float) -> float:
    """The longitude between -180 and 180."""
    return (longitude + 180) % 360 - 180
