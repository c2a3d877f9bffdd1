"""Facets: listings that pass, counted by category, price and attributes."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.columns.bands import counts_between, round_edges
from models.columns.dictionary import TextDictionary
from models.columns.passing import MINOR_UNITS, Passing
from models.columns.postings import FIRST_TEXT, TRUE
from models.columns.segment import NOTHING
from models.domain.job_results.searches import Band, Bands, CategoryCount, Facet, ValueCount
from models.domain.searches.facets import CATEGORY_FACET, FACET_BANDS, FacetRequest
from models.domain.text import CATEGORY_SEPARATOR

MOST_TIES = 10_000
"""Of so many equally frequent values those are shown that come first by their text; of more, those
that were read first."""


def facets_of(
    passing: Passing, requests: Sequence[FacetRequest], paths: Mapping[int, str]
) -> tuple[Facet, ...]:
    """The facets of the listings that pass; `paths` are the paths of categories."""
    return tuple(_facet(passing, request, paths) for request in requests)


def _facet(passing: Passing, request: FacetRequest, paths: Mapping[int, str]) -> Facet:
    if request.attribute is not None:
        return _attribute_facet(passing, request, request.attribute)
    if request.name == CATEGORY_FACET:
        return _category_facet(passing, request, paths)
    return _price_facet(passing, request)


def _category_facet(passing: Passing, request: FacetRequest, paths: Mapping[int, str]) -> Facet:
    # Those without a category are counted as 0.
    size = max(paths, default=0) + 1
    by_id = np.zeros(size, np.int64)
    for segment, mask in passing.segments():
        rows = np.flatnonzero(mask)
        by_id += np.bincount(segment.categories[rows], minlength=size)[:size]
    counts: dict[str, int] = {}
    for number in np.flatnonzero(by_id[1:]) + 1:
        names = paths[int(number)].split(CATEGORY_SEPARATOR)
        for depth in range(1, len(names) + 1):
            path = CATEGORY_SEPARATOR.join(names[:depth])
            counts[path] = counts.get(path, 0) + int(by_id[number])
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Facet(
        name=request.name,
        listings=int(by_id[1:].sum()),
        categories=tuple(
            CategoryCount(category=path, count=count) for path, count in shown[: request.values]
        ),
        other_values=max(0, len(shown) - request.values),
    )


def _price_facet(passing: Passing, request: FacetRequest) -> Facet:
    prices, currencies = [np.empty(0, np.int64)], [np.empty(0, np.int16)]
    for segment, mask in passing.segments():
        priced = np.flatnonzero(mask & (segment.prices != NOTHING))
        prices.append(segment.prices[priced])
        currencies.append(segment.currencies[priced])
    every_price, every_currency = np.concatenate(prices), np.concatenate(currencies)
    bands: list[Bands] = []
    # Prices without a currency come first.
    counts = np.bincount(every_currency - NOTHING)
    for code in np.flatnonzero(counts) + NOTHING:
        alone = counts[code - NOTHING] == len(every_currency)
        of_currency = np.sort(
            every_price if alone else every_price[np.flatnonzero(every_currency == code)]
        )
        name = passing.columns.dictionaries.currencies.text(int(code)) if code >= 0 else None
        bands.append(_bands(of_currency, request, name, MINOR_UNITS))
    bands.sort(key=lambda one: (-one.count, one.currency or ""))
    return Facet(name=request.name, listings=len(every_price), bands=tuple(bands))


def _attribute_facet(passing: Passing, request: FacetRequest, attribute: str) -> Facet:
    texts = passing.columns.dictionaries.texts_of(attribute)
    counts = np.zeros(len(texts) + FIRST_TEXT, np.int64)
    numbers = [np.empty(0, np.float64)]
    listings = 0
    for segment, mask in passing.segments():
        postings = segment.attributes.get(attribute)
        if postings is None:
            continue
        counts += postings.counts(mask, len(counts))
        numbers.append(postings.numbers[np.flatnonzero(mask[postings.number_rows])])
        has = np.zeros(segment.rows, np.bool_)
        has[postings.rows] = True
        has[postings.number_rows] = True
        listings += int(np.count_nonzero(has & mask))
    every_number = np.sort(np.concatenate(numbers))
    values = int(np.count_nonzero(counts))
    return Facet(
        name=request.name,
        listings=listings,
        values=_most_frequent(counts, texts, request.values),
        other_values=max(0, values - request.values),
        bands=(_bands(every_number, request),) if len(every_number) else (),
    )


def _most_frequent(
    counts: NDArray[np.int64], texts: TextDictionary, values: int
) -> tuple[ValueCount, ...]:
    codes = np.flatnonzero(counts)
    if len(codes) > values:
        least = np.partition(counts[codes], len(codes) - values)[len(codes) - values]
        more = codes[counts[codes] > least]
        codes = np.concatenate([more, codes[counts[codes] == least][:MOST_TIES]])
    found = [
        ValueCount(
            value=texts.text(code - FIRST_TEXT) if code >= FIRST_TEXT else code == TRUE,
            count=int(counts[code]),
        )
        for code in codes.tolist()
    ]
    found.sort(key=lambda one: (-one.count, str(one.value).casefold()))
    return tuple(found[:values])


def _bands(
    numbers: NDArray[np.float64] | NDArray[np.int64],
    request: FacetRequest,
    currency: str | None = None,
    unit: int = 1,
) -> Bands:
    """Sorted numbers, of which `unit` are one of what edges are in, in bands."""
    if request.edges:
        edges = list(request.edges)
        parted = [round(edge * unit, 6) for edge in edges]
    else:
        parted = round_edges(numbers, FACET_BANDS, least_step=1.0 if unit > 1 else 0.0)
        edges = [edge / unit for edge in parted]
    counts = counts_between(numbers, parted)
    bounds = [None, *edges, None]
    return Bands(
        currency=currency,
        count=len(numbers),
        bands=tuple(
            Band(at_least=low, below=high, count=count)
            for low, high, count in zip(bounds, bounds[1:], counts, strict=False)
        ),
    )
