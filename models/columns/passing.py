"""Which listings pass a filter, by their columns.

What a condition means is said once more in SQL (`db.catalogue.filters`), for as long as there are
no columns, and for attributes by `AttributeCondition.is_met`. Property tests hold them equal.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.columns.columns import Columns
from models.columns.dictionary import TextDictionary
from models.columns.postings import FALSE, FIRST_TEXT, TRUE
from models.columns.segment import NOTHING, STATUSES, Mask, Segment, packed_ids
from models.domain.filters import ListingFilter, Near
from models.domain.geo import box_around, haversine_of
from models.domain.searches.attributes import AttributeCondition

MINOR_UNITS: Final = 100
"""Of a currency: prices have two decimals in all of them."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNKNOWN: Final = -2
"""The code of a text that no listing has."""


@dataclass(frozen=True, slots=True)
class Passing:
    """The listings that pass, as a mask (rows,) of each segment.

    Where a mask selects, `np.flatnonzero` of it does: for half of the rows it is much faster.
    """

    columns: Columns
    masks: tuple[Mask, ...]

    @property
    def listings(self) -> int:
        """How many they are."""
        return sum(int(np.count_nonzero(mask)) for mask in self.masks)

    def photos(self) -> NDArray[np.int64]:
        """The photos that they show, each once, ascending."""
        shown = [
            segment.shown_photos[np.flatnonzero(mask[segment.showing_rows])]
            for segment, mask in self.segments()
        ]
        photos = np.concatenate([np.empty(0, np.int64), *shown])
        if sum(len(one) > 0 for one in shown) > 1:
            photos.sort()
        # Sorted as they are, `np.unique` would take fifty times as long.
        return photos[np.diff(photos, prepend=-1) > 0]

    def listings_of(self, photo_ids: Collection[int]) -> dict[int, list[UUID]]:
        """Those that show each photo, in order of id."""
        found: dict[int, list[UUID]] = {}
        wanted = np.fromiter(photo_ids, np.int64, len(photo_ids))
        for segment, mask in self.segments():
            photos, rows = segment.rows_showing(wanted)
            passes = mask[rows]
            ids = segment.listing_ids(rows[passes])
            for photo, listing_id in zip(photos[passes].tolist(), ids, strict=True):
                found.setdefault(photo, []).append(listing_id)
        for listing_ids in found.values():
            listing_ids.sort()
        return found

    def those_of(self, listing_ids: Sequence[UUID]) -> list[UUID]:
        """Those of these listings, in their order."""
        wanted = packed_ids(b"".join(one.bytes for one in listing_ids))
        passes = np.zeros(len(wanted), np.bool_)
        for segment, mask in self.segments():
            rows = segment.rows_of(wanted)
            is_here = rows >= 0
            passes[is_here] |= mask[rows[is_here]]
        return [one for one, passed in zip(listing_ids, passes.tolist(), strict=True) if passed]

    def among(self, numbers: NDArray[np.int64]) -> "Passing":
        """Those of them that have one of these numbers, (n,)."""
        masks: list[Mask] = []
        for segment, mask in self.segments():
            there = np.zeros(segment.rows, np.bool_)
            places = np.searchsorted(segment.numbers, numbers)
            places[places == segment.rows] = 0
            there[places[segment.numbers[places] == numbers]] = True
            masks.append(there & mask)
        return Passing(self.columns, tuple(masks))

    def by_number(self) -> Mask:
        """By a listing's number, whether it passes, up to the highest number that there is."""
        most = max((int(one.numbers[-1]) for one in self.columns.segments if one.rows), default=-1)
        allowed = np.zeros(most + 1, np.bool_)
        for segment, mask in self.segments():
            allowed[segment.numbers[mask]] = True
        return allowed

    def segments(self) -> Iterator[tuple[Segment, Mask]]:
        """Each segment with its mask."""
        return zip(self.columns.segments, self.masks, strict=True)


def passing(columns: Columns, wanted: ListingFilter, categories: Sequence[int] | None) -> Passing:
    """The listings that pass; `categories` are the integers of the filter's, if it states one."""
    masks = (_mask(segment, columns, wanted, categories) for segment in columns.segments)
    return Passing(columns, tuple(masks))


def _mask(
    segment: Segment, columns: Columns, wanted: ListingFilter, categories: Sequence[int] | None
) -> Mask:
    mask = _is_one_of(segment.statuses, [STATUSES[status] for status in wanted.status])
    for condition in _conditions(segment, columns, wanted, categories):
        mask &= condition
    return mask


def _conditions(
    segment: Segment, columns: Columns, wanted: ListingFilter, categories: Sequence[int] | None
) -> Iterator[Mask]:
    """What all must hold beside the status."""
    dictionaries = columns.dictionaries
    if segment.live is not None:
        yield segment.live
    if categories is not None:
        yield _is_one_of(segment.categories, categories)
    if wanted.price_min is not None or wanted.price_max is not None:
        yield _is_priced(segment, wanted.price_min, wanted.price_max)
    if wanted.currency is not None:
        yield segment.currencies == _code(dictionaries.currencies, wanted.currency)
    if wanted.near is not None:
        yield _is_near(segment, wanted.near)
    for seller, is_wanted in ((wanted.seller, True), (wanted.exclude_seller, False)):
        if seller is not None:
            yield (segment.sellers == _code(dictionaries.sellers, seller)) == is_wanted
    if wanted.created_after is not None:
        yield segment.created_at > microseconds(wanted.created_after)
    for condition in wanted.attributes:
        yield _is_met(segment, columns, condition)


def _is_priced(segment: Segment, least: Decimal | None, most: Decimal | None) -> Mask:
    mask: Mask = segment.prices != NOTHING
    if least is not None:
        mask &= segment.prices >= _minor_units(least, up=True)
    if most is not None:
        mask &= segment.prices <= _minor_units(most, up=False)
    return mask


def microseconds(moment: datetime) -> int:
    """A time as columns have it."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _minor_units(price: Decimal, *, up: bool) -> int:
    units = price * MINOR_UNITS
    whole = int(units)
    if up and units > whole:
        whole += 1
    elif not up and units < whole:
        whole -= 1
    # No listing's price is beyond that.
    return min(max(whole, -(2**62)), 2**62)


def _code(texts: TextDictionary, text: str) -> int:
    code = texts.find(text)
    return _UNKNOWN if code is None else code


def _is_one_of(values: NDArray[np.signedinteger], wanted: Iterable[int]) -> Mask:
    few = list(wanted)
    if not len(values) or not few:
        return np.zeros(len(values), np.bool_)
    mask: Mask
    if len(few) == 1:
        mask = values == few[0]
        return mask
    # Faster than `np.isin`, as the values are small.
    lookup = np.zeros(max(int(values.max()), *few) + 1, np.bool_)
    lookup[few] = True
    mask = lookup[values]
    return mask


def _is_near(segment: Segment, near: Near) -> Mask:
    """As in SQL: in the box about the circle, and then in the circle."""
    box = box_around(near.latitude, near.longitude, near.km)
    latitudes, longitudes = segment.latitudes, segment.longitudes
    beyond_west, short_of_east = longitudes >= box.west, longitudes <= box.east
    mask = (latitudes >= box.south) & (latitudes <= box.north)
    across = np.logical_or if box.west > box.east else np.logical_and
    mask &= across(beyond_west, short_of_east)
    rows = np.flatnonzero(mask)
    angles = _haversine(near.latitude, near.longitude, latitudes[rows], longitudes[rows])
    mask[rows] = angles <= haversine_of(near.km)
    return mask


def _haversine(
    latitude: float,
    longitude: float,
    latitudes: NDArray[np.float64],
    longitudes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """As `models.domain.geo.haversine`, of a point and others (n,)."""
    parallel = np.sin(np.radians(latitudes - latitude) / 2)
    meridian = np.sin(np.radians(longitudes - longitude) / 2)
    squeeze = np.cos(np.radians(latitude)) * np.cos(np.radians(latitudes))
    angles: NDArray[np.float64] = parallel * parallel + squeeze * (meridian * meridian)
    return np.minimum(angles, 1.0)


def _is_met(segment: Segment, columns: Columns, condition: AttributeCondition) -> Mask:
    met = np.zeros(segment.rows, np.bool_)
    postings = segment.attributes.get(condition.name)
    if postings is None:
        return met
    if not condition.any_of:
        low = -np.inf if condition.at_least is None else condition.at_least
        high = np.inf if condition.at_most is None else condition.at_most
        within = (postings.numbers >= low) & (postings.numbers <= high)
        met[postings.number_rows[within]] = True
        return met
    for code in _codes(columns.dictionaries.texts_of(condition.name), condition):
        met[postings.rows_of(code)] = True
    numbers = [one for one in condition.any_of if not isinstance(one, bool | str)]
    if numbers:
        equal = np.isin(postings.numbers, np.array(numbers, np.float64))
        met[postings.number_rows[equal]] = True
    return met


def _codes(texts: TextDictionary, condition: AttributeCondition) -> Iterator[int]:
    """The codes of the texts and booleans among those that are wanted."""
    for one in condition.any_of:
        if isinstance(one, bool):
            yield TRUE if one else FALSE
        elif isinstance(one, str):
            code = texts.find(one)
            if code is not None:
                yield code + FIRST_TEXT
