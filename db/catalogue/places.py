"""Coordinates of places: geocoders' results, cached so that each name is looked up once."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.statements import chunks, insert_or_update
from db.tables import Place


class Coordinates(NamedTuple):
    """A point on the earth, in degrees of WGS 84; north and east are positive."""

    latitude: float
    longitude: float


def known_places(session: Session, names: Iterable[str]) -> dict[str, Coordinates | None]:
    """The results for those of the names that were looked up; None where no place was found."""
    return {
        place.name: _coordinates(place)
        for chunk in chunks(names)
        for place in session.scalars(select(Place).where(Place.name.in_(chunk)))
    }


def store_places(session: Session, found: Mapping[str, Coordinates | None], now: datetime) -> None:
    """Store the result for each name, also None; an earlier result is replaced."""
    rows = [
        {
            "name": name,
            "latitude": coordinates and coordinates.latitude,
            "longitude": coordinates and coordinates.longitude,
            "looked_up_at": now,
        }
        for name, coordinates in found.items()
    ]
    insert_or_update(
        session, Place, rows, key=["name"], updating=["latitude", "longitude", "looked_up_at"]
    )


def _coordinates(place: Place) -> Coordinates | None:
    if place.latitude is None or place.longitude is None:
        return None
    return Coordinates(place.latitude, place.longitude)
