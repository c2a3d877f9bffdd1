"""Listings for tests of columns: drawn, batched, and counted one by one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

import numpy as np
from hypothesis import strategies as st

from models.columns.segment import ListingBatch
from models.domain.filters import ListingFilter
from models.domain.job_results.searches import Bands, Facet
from models.domain.searches.attributes import Attributes, AttributeValue
from models.domain.searches.facets import FacetRequest
from models.domain.types import ListingStatus

PATHS = {1: "Home", 2: "Home / Lamps", 3: "Home / Lamps / Desk", 4: "Homes", 5: "Toys"}
TEXTS = ["M", "m", "L", "straße", "STRASSE", "40", ""]
NAMES = ["size", "colour", "new"]
CURRENCIES = ["GBP", "EUR"]
SHOWN = [ListingStatus.ACTIVE, ListingStatus.RESERVED, ListingStatus.SOLD]


@dataclass(frozen=True)
class Item:
    """A listing; its price is in hundredths."""

    number: int
    status: ListingStatus = ListingStatus.ACTIVE
    category: int = 0
    price: int = -1
    currency: str = ""
    seller: str = ""
    attributes: Attributes = field(default_factory=dict, hash=False)
    photos: tuple[int, ...] = ()

    @property
    def id(self) -> UUID:
        """Its id, which is in another order than its number."""
        return id_of(self.number)


def id_of(number: int) -> UUID:
    return UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128)


def batch_of(items: Sequence[Item]) -> ListingBatch:
    return ListingBatch(
        [item.number for item in items],
        b"".join(item.id.bytes for item in items),
        [item.status for item in items],
        [item.category for item in items],
        [item.price for item in items],
        [item.currency for item in items],
        [None for _ in items],
        [None for _ in items],
        [item.seller for item in items],
        np.array([item.number for item in items], np.int64),
        [item.attributes for item in items],
        np.array(
            [(item.number, photo) for item in items for photo in item.photos], np.int64
        ).reshape(-1, 2),
    )


VALUES: st.SearchStrategy[AttributeValue] = st.one_of(
    st.sampled_from(TEXTS[:-1]),
    st.booleans(),
    st.integers(-3, 50),
    st.floats(-1e3, 1e3).map(lambda number: round(number, 2)),
    st.lists(st.sampled_from(TEXTS[:-1]), min_size=1, max_size=3),
)


@st.composite
def items(draw: st.DrawFn) -> Item:
    """One of twenty listings, in any state; with a price it has a currency or not."""
    priced = draw(st.booleans())
    return Item(
        draw(st.integers(1, 20)),
        draw(st.sampled_from([ListingStatus.ACTIVE, *ListingStatus])),
        draw(st.integers(0, 5)),
        draw(st.integers(0, 10_000)) if priced else -1,
        draw(st.sampled_from([*CURRENCIES, ""])) if priced else "",
        draw(st.sampled_from(["", "ann", "bob", "Ann"])),
        draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)),
        draw(st.lists(st.integers(1, 9), max_size=3, unique=True).map(tuple)),
    )


def passes(item: Item, wanted: ListingFilter) -> bool:
    """By the plain meaning of a filter, which states neither categories nor places."""
    return (
        item.status in wanted.status
        and (wanted.price_max is None or 0 <= item.price <= wanted.price_max * 100)
        and (wanted.currency is None or item.currency == wanted.currency)
        and (wanted.seller is None or item.seller == wanted.seller)
        and (wanted.exclude_seller is None or item.seller != wanted.exclude_seller)
        and all(condition.is_met(item.attributes) for condition in wanted.attributes)
    )


def values_of(value: AttributeValue) -> set[str | bool]:
    """What a facet counts of an attribute's value: texts without case, and booleans."""
    match value:
        case bool():
            return {value}
        case str():
            return {value.casefold()}
        case list():
            return {text.casefold() for text in value}
        case _:
            return set()


def check_facet(facet: Facet, request: FacetRequest, found: Iterable[Item]) -> None:
    """Assert that a facet is what counting the listings one by one gives."""
    listings = list(found)
    assert facet.name == request.name
    if request.attribute is not None:
        _check_attribute(facet, request, request.attribute, listings)
    elif request.name == "category":
        _check_categories(facet, request, listings)
    else:
        priced = [item for item in listings if item.price >= 0]
        assert facet.listings == len(priced)
        by_currency = Counter(item.currency for item in priced)
        assert {one.currency or "": one.count for one in facet.bands} == by_currency
        for bands in facet.bands:
            prices = [item.price for item in priced if item.currency == (bands.currency or "")]
            check_bands(bands, request, [float(Decimal(price) / 100) for price in prices])


def _check_attribute(
    facet: Facet, request: FacetRequest, name: str, listings: Sequence[Item]
) -> None:
    having = [item.attributes[name] for item in listings if name in item.attributes]
    assert facet.listings == len(having)
    counts = Counter(one for value in having for one in values_of(value))
    _check_most_frequent(
        {
            one.value.casefold() if isinstance(one.value, str) else one.value: one.count
            for one in facet.values
        },
        facet.other_values,
        counts,
        request.values,
    )
    numbers = [float(v) for v in having if isinstance(v, int | float) and not isinstance(v, bool)]
    assert len(facet.bands) == bool(numbers)
    for bands in facet.bands:
        assert bands.currency is None
        check_bands(bands, request, numbers)


def _check_categories(facet: Facet, request: FacetRequest, listings: Sequence[Item]) -> None:
    assert facet.listings == sum(item.category > 0 for item in listings)
    counts: Counter[str | bool] = Counter()
    for item in listings:
        for path in PATHS.values():
            if item.category and f"{PATHS[item.category]} / ".startswith(f"{path} / "):
                counts[path] += 1
    shown: dict[str | bool, int] = {one.category: one.count for one in facet.categories}
    _check_most_frequent(shown, facet.other_values, counts, request.values)


def _check_most_frequent(
    shown: dict[str | bool, int], others: int, counts: Counter[str | bool], most: int
) -> None:
    assert shown.items() <= counts.items()
    assert list(shown.values()) == sorted(counts.values(), reverse=True)[:most]
    assert others == max(0, len(counts) - most)


def check_bands(bands: Bands, request: FacetRequest, numbers: Sequence[float]) -> None:
    """Assert that bands cover all numbers, and are counted right."""
    assert bands.count == len(numbers) == sum(band.count for band in bands.bands)
    assert bands.bands[0].at_least is None
    assert bands.bands[-1].below is None
    edges = [band.at_least for band in bands.bands[1:]]
    assert edges == [band.below for band in bands.bands[:-1]]
    if request.edges:
        assert edges == list(request.edges)
    for band in bands.bands:
        low = -np.inf if band.at_least is None else band.at_least
        high = np.inf if band.below is None else band.below
        assert band.count == sum(low <= number < high for number in numbers)
        assert band.count or request.edges
