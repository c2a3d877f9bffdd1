"""A part of the catalogue in columns: one row a listing, in order of its number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.columns.dictionary import TextDictionary
from models.columns.postings import Postings, PostingsBuilder, Rows, merged
from models.domain.searches.attributes import Attributes
from models.domain.types import ListingStatus

Mask = NDArray[np.bool_]
"""Which rows of a segment are meant."""

NOTHING: Final = -1
"""The price, seller or currency of a row that has none; its category is 0."""
STATUSES: Final = {status: code for code, status in enumerate(ListingStatus)}


class Dictionaries:
    """The texts of all segments of a catalogue; they only grow."""

    def __init__(
        self,
        sellers: TextDictionary | None = None,
        currencies: TextDictionary | None = None,
        attributes: Mapping[str, TextDictionary] | None = None,
    ) -> None:
        self.sellers = TextDictionary(folds=False) if sellers is None else sellers
        self.currencies = TextDictionary(folds=False) if currencies is None else currencies
        self.attributes = dict(attributes or {})

    def texts_of(self, attribute: str) -> TextDictionary:
        """The texts of an attribute."""
        if attribute not in self.attributes:
            self.attributes[attribute] = TextDictionary(folds=True)
        return self.attributes[attribute]


@dataclass(frozen=True, slots=True)
class ListingBatch:
    """Listings as they are read, one item of each sequence a listing; none of them is deleted.

    `ids` are their 16 bytes one after another, `prices` in hundredths, `created_at` in microseconds
    since 1970. Prices of -1, categories of 0 and empty texts are none, as are degrees of None.
    `photos` (n, 2) are numbers of listings and the photos that these show, in any order.
    """

    numbers: Sequence[int]
    ids: bytes
    statuses: Sequence[str]
    categories: Sequence[int]
    prices: Sequence[int]
    currencies: Sequence[str]
    latitudes: Sequence[float | None]
    longitudes: Sequence[float | None]
    sellers: Sequence[str]
    created_at: NDArray[np.int64]
    attributes: Sequence[Attributes]
    photos: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """Columns of so many rows, each (rows,), but for `shown_photos` and `showing_rows`.

    Those are all pairs of a photo and a row that shows it, (n,), in order of the photo. `by_id` are
    the rows in order of their id. `live` are those that no newer segment has; None is all of them.
    """

    numbers: NDArray[np.int64]
    ids: NDArray[np.bytes_]
    by_id: Rows
    statuses: NDArray[np.int8]
    categories: NDArray[np.int32]
    prices: NDArray[np.int64]
    currencies: NDArray[np.int16]
    latitudes: NDArray[np.float64]
    longitudes: NDArray[np.float64]
    sellers: NDArray[np.int32]
    created_at: NDArray[np.int64]
    shown_photos: NDArray[np.int64]
    showing_rows: Rows
    attributes: Mapping[str, Postings]
    live: Mask | None = None

    @property
    def rows(self) -> int:
        """How many rows it has, whether they are live or not."""
        return len(self.numbers)

    @property
    def live_rows(self) -> int:
        """How many of them are live."""
        return self.rows if self.live is None else int(np.count_nonzero(self.live))

    def without(self, numbers: NDArray[np.int64]) -> "Segment":
        """The same where these listings, (n,), are not live."""
        places = np.searchsorted(self.numbers, numbers)
        places[places == self.rows] = 0
        rows = places[self.numbers[places] == numbers] if self.rows else places[:0]
        if not len(rows):
            return self
        live = np.ones(self.rows, np.bool_) if self.live is None else self.live.copy()
        live[rows] = False
        return replace(self, live=live)

    def with_photos(
        self, listing_ids: NDArray[np.bytes_], photo_ids: NDArray[np.int64]
    ) -> "Segment":
        """The same where these listings, (n,), show these photos; unknown ones are ignored."""
        rows = self.rows_of(listing_ids)
        photos, rows = _pairs(photo_ids[rows >= 0], rows[rows >= 0])
        return replace(self, shown_photos=photos, showing_rows=rows)

    def rows_of(self, listing_ids: NDArray[np.bytes_]) -> Rows:
        """The row of each listing, (n,), live or not; -1 where it has none."""
        if not self.rows:
            return np.full(len(listing_ids), -1, np.int32)
        places = np.searchsorted(self.ids, listing_ids, sorter=self.by_id)
        places[places == self.rows] = 0
        rows = self.by_id[places]
        return np.where(self.ids[rows] == listing_ids, rows, np.int32(-1))

    def rows_showing(self, photo_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], Rows]:
        """Pairs of one of the photos (n,) and a row that shows it, live or not."""
        low = np.searchsorted(self.shown_photos, photo_ids, side="left")
        counts = np.searchsorted(self.shown_photos, photo_ids, side="right") - low
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(photo_ids, counts), self.showing_rows[np.repeat(low, counts) + within]

    def listing_ids(self, rows: Rows) -> list[UUID]:
        """The ids of rows."""
        packed = self.ids[rows].tobytes()
        return [UUID(bytes=packed[start : start + 16]) for start in range(0, len(packed), 16)]


def packed_ids(ids: bytes) -> NDArray[np.bytes_]:
    """The ids of listings, 16 bytes each, as columns have them."""
    return np.frombuffer(ids, "S16")


def segment_of(batch: ListingBatch, dictionaries: Dictionaries) -> Segment:
    """Listings, each once, as a segment; their texts are added to the dictionaries."""
    numbers = np.array(batch.numbers, np.int64)
    order = np.argsort(numbers)
    numbers = numbers[order]
    ids = packed_ids(batch.ids)[order]
    photos, rows = _pairs(
        batch.photos[:, 1], np.searchsorted(numbers, batch.photos[:, 0]).astype(np.int32)
    )
    return Segment(
        numbers=numbers,
        ids=ids,
        by_id=_by_id(ids),
        statuses=np.array([STATUSES[ListingStatus(one)] for one in batch.statuses], np.int8)[order],
        categories=np.array(batch.categories, np.int32)[order],
        prices=np.array(batch.prices, np.int64)[order],
        currencies=_coded(batch.currencies, dictionaries.currencies).astype(np.int16)[order],
        latitudes=np.array(batch.latitudes, np.float64)[order],
        longitudes=np.array(batch.longitudes, np.float64)[order],
        sellers=_coded(batch.sellers, dictionaries.sellers)[order],
        created_at=batch.created_at[order],
        shown_photos=photos,
        showing_rows=rows,
        attributes=_postings_of([batch.attributes[row] for row in order.tolist()], dictionaries),
    )


def merge(segments: Sequence[Segment]) -> Segment:
    """The live rows of several segments in one; a listing is live in one of them at most."""
    lives = [np.flatnonzero(_live(segment)) for segment in segments]

    def together(name: str) -> NDArray[np.generic]:
        parts = [getattr(one, name)[live] for one, live in zip(segments, lives, strict=True)]
        return np.concatenate(parts)

    numbers = together("numbers")
    order = np.argsort(numbers)
    columns = {name: together(name)[order] for name in _ROW_COLUMNS}
    becomes = _becomes(segments, lives, order)
    photos = np.concatenate([one.shown_photos for one in segments])
    rows = np.concatenate(
        [becoming[one.showing_rows] for one, becoming in zip(segments, becomes, strict=True)]
    )
    photos, rows = _pairs(photos[rows >= 0], rows[rows >= 0])
    attributes: dict[str, Postings] = {}
    for name in dict.fromkeys(chain.from_iterable(one.attributes for one in segments)):
        together_ = merged(
            [
                (one.attributes[name], becoming)
                for one, becoming in zip(segments, becomes, strict=True)
                if name in one.attributes
            ]
        )
        if together_ is not None:
            attributes[name] = together_
    return Segment(
        **columns,  # type: ignore[arg-type] # each is of its own type
        by_id=_by_id(columns["ids"]),
        shown_photos=photos,
        showing_rows=rows,
        attributes=attributes,
    )


_ROW_COLUMNS: Final = (
    "numbers",
    "ids",
    "statuses",
    "categories",
    "prices",
    "currencies",
    "latitudes",
    "longitudes",
    "sellers",
    "created_at",
)


def _live(segment: Segment) -> Mask:
    return np.ones(segment.rows, np.bool_) if segment.live is None else segment.live


def _becomes(
    segments: Sequence[Segment], lives: Sequence[NDArray[np.intp]], order: NDArray[np.intp]
) -> list[Rows]:
    """The row that each row of each segment becomes, -1 where it is not live."""
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    becomes: list[Rows] = []
    start = 0
    for segment, live in zip(segments, lives, strict=True):
        rows = np.full(segment.rows, -1, np.int32)
        rows[live] = places[start : start + len(live)]
        becomes.append(rows)
        start += len(live)
    return becomes


def _pairs(photos: NDArray[np.int64], rows: Rows) -> tuple[NDArray[np.int64], Rows]:
    order = np.argsort(photos, kind="stable")
    return photos[order], rows[order]


def _by_id(ids: NDArray[np.generic]) -> Rows:
    halves = ids.view(">u8").reshape(-1, 2).astype(np.uint64)
    return np.lexsort((halves[:, 1], halves[:, 0])).astype(np.int32)


def _coded(texts: Sequence[str], dictionary: TextDictionary) -> NDArray[np.int32]:
    known, add = dictionary.codes, dictionary.add
    codes = (
        NOTHING if not text else code if (code := known.get(text)) is not None else add(text)
        for text in texts
    )
    return np.fromiter(codes, np.int32, len(texts))


def _postings_of(
    attributes: Sequence[Attributes], dictionaries: Dictionaries
) -> dict[str, Postings]:
    builders: dict[str, PostingsBuilder] = {}
    for row, stated in enumerate(attributes):
        for name, value in stated.items():
            builder = builders.get(name)
            if builder is None:
                builder = builders[name] = PostingsBuilder(dictionaries.texts_of(name))
            builder.add(row, value)
    return {name: builder.build() for name, builder in builders.items()}
