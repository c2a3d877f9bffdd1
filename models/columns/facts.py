"""What a ranking reads of listings, from their columns."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import isnan
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.columns.columns import Columns
from models.columns.dictionary import TextDictionary
from models.columns.passing import EPOCH, MINOR_UNITS
from models.columns.postings import Rows
from models.columns.segment import NOTHING, Segment, packed_ids
from models.domain.limits import PLACEHOLDER_DIGITS, is_placeholder_price
from models.domain.searches.facts import ListingFacts


class RankedListings:
    """Those of some listings that are in columns."""

    def __init__(self, columns: Columns, listing_ids: Sequence[UUID]) -> None:
        self._columns = columns
        self._found = list(_found(columns, listing_ids))

    @property
    def categories(self) -> set[int]:
        """The integers of their categories."""
        return {
            number
            for segment, rows, _ in self._found
            for number in segment.categories[rows].tolist()
            if number
        }

    def facts(
        self, paths: Mapping[int, str], popularity: str | None = None
    ) -> dict[UUID, ListingFacts]:
        """What is known of each; `paths` are those of their categories.

        `popularity` names the attribute that counts it.
        """
        return {
            facts.listing_id: facts
            for segment, rows, ids in self._found
            for facts in self._of_segment(segment, rows, ids, paths, popularity)
        }

    def _of_segment(
        self,
        segment: Segment,
        rows: Rows,
        ids: Sequence[UUID],
        paths: Mapping[int, str],
        popularity: str | None,
    ) -> Iterator[ListingFacts]:
        sellers, currencies = segment.sellers[rows], segment.currencies[rows]
        dictionaries = self._columns.dictionaries
        read = zip(
            ids,
            segment.numbers[rows].tolist(),
            segment.created_at[rows].tolist(),
            segment.prices[rows].tolist(),
            _texts(dictionaries.currencies, currencies),
            _degrees(segment.latitudes[rows]),
            _degrees(segment.longitudes[rows]),
            _texts(dictionaries.sellers, sellers),
            segment.categories[rows].tolist(),
            _numbers(segment, rows, popularity),
            strict=True,
        )
        for one, number, at, price, currency, latitude, longitude, seller, category, count in read:
            yield ListingFacts(
                one,
                number,
                _moment(at),
                _believable(price),
                currency,
                latitude,
                longitude,
                seller,
                paths.get(category),
                count,
            )


def _found(
    columns: Columns, listing_ids: Sequence[UUID]
) -> Iterator[tuple[Segment, Rows, list[UUID]]]:
    wanted = packed_ids(b"".join(one.bytes for one in listing_ids))
    for segment in columns.segments:
        rows = segment.rows_of(wanted)
        is_here = rows >= 0
        if segment.live is not None:
            is_here &= segment.live[rows]
        places = np.flatnonzero(is_here)
        yield segment, rows[places], [listing_ids[place] for place in places.tolist()]


def _texts(
    dictionary: TextDictionary, codes: NDArray[np.int16] | NDArray[np.int32]
) -> list[str | None]:
    every: list[int] = codes.tolist()
    texts = {code: None if code == NOTHING else dictionary.text(code) for code in set(every)}
    return [texts[code] for code in every]


def _moment(created_at: int) -> datetime:
    return EPOCH + timedelta(microseconds=created_at)


def _believable(price: int) -> float | None:
    if price == NOTHING:
        return None
    # Only these are asked for: most prices have fewer digits.
    may_be_placeholder = price >= 10 ** (PLACEHOLDER_DIGITS - 1) * MINOR_UNITS
    if may_be_placeholder and is_placeholder_price(Decimal(price) / MINOR_UNITS):
        return None
    return price / MINOR_UNITS


def _degrees(degrees: NDArray[np.float64]) -> list[float | None]:
    return [None if isnan(one) else one for one in degrees.tolist()]


def _numbers(segment: Segment, rows: Rows, attribute: str | None) -> list[float | None]:
    postings = None if attribute is None else segment.attributes.get(attribute)
    if postings is None or not len(postings.numbers):
        return [None] * len(rows)
    places = np.searchsorted(postings.number_rows, rows)
    places[places == len(postings.numbers)] = 0
    has = (postings.number_rows[places] == rows).tolist()
    numbers = postings.numbers[places].tolist()
    return [number if there else None for number, there in zip(numbers, has, strict=True)]
