"""Retrieval metrics of exact search among labelled photos, in memory linear in their number.

Photos of the query's own listing are excluded: they show the same item, often on the same
background.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
OnProgress = Callable[[int, int], None]

DEPTH: Final = 10
"""How many neighbours of a query are kept, and counted by precision@10."""

# Similarities held at once: 16 MB, and twice that for their order.
CELLS_AT_ONCE: Final = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Retrieval:
    """The results of searching each of `queries` (q,), positions of photos.

    The figures are float64 (q,), in [0, 1]. `neighbours` (q, 10) are positions of the nearest
    photos of other listings, nearest first, and -1 where there are no more.
    """

    queries: Integers
    precision_at_1: NDArray[np.float64]
    precision_at_10: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    neighbours: Integers


def answerable(listings: Integers, categories: Integers) -> Integers:
    """The positions of photos that have a relevant photo: of their category, of another listing."""
    _, category, in_category = np.unique(categories, return_inverse=True, return_counts=True)
    _, item, in_item = np.unique(
        np.stack([categories, listings]), axis=1, return_inverse=True, return_counts=True
    )
    return np.flatnonzero(in_category[category] > in_item[item])


def retrieve(
    vectors: Floats,
    listings: Integers,
    categories: Integers,
    queries: Integers,
    *,
    on_progress: OnProgress | None = None,
) -> Retrieval:
    """Search each of `queries`, positions of photos, among the photos of all other listings.

    `vectors` are unit rows (n, dimension); a photo found is right when it is of the query's
    category. Equally near photos are found in order of position. Average precision is over all
    right photos, and 0 where there are none.
    """
    first, tenth = np.empty(len(queries)), np.empty(len(queries))
    average = np.empty(len(queries))
    neighbours = np.empty((len(queries), min(DEPTH, len(vectors))), np.int64)
    for block in _blocks(len(queries), len(vectors), on_progress):
        asked = queries[block]
        similarities = vectors[asked] @ vectors.T
        own = listings[asked, None] == listings
        similarities[own] = -np.inf
        order = np.argsort(-similarities, axis=1, kind="stable")
        right = (categories[asked, None] == categories) & ~own
        hits = np.take_along_axis(right, order, axis=1)
        first[block] = hits[:, 0]
        tenth[block] = hits[:, :DEPTH].sum(axis=1) / DEPTH
        average[block] = _average_precision(hits)
        nearest = order[:, :DEPTH]
        neighbours[block] = np.where(np.take_along_axis(own, nearest, axis=1), -1, nearest)
    missing = DEPTH - neighbours.shape[1]
    padded = np.pad(neighbours, ((0, 0), (0, missing)), constant_values=-1)
    return Retrieval(queries, first, tenth, average, padded)


def _average_precision(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision of each row of hits, best first."""
    row, column = np.nonzero(hits)
    found = np.bincount(row, minlength=len(hits))
    before_row = np.cumsum(found) - found
    ordinal = np.arange(1, len(row) + 1) - before_row[row]
    precisions = np.bincount(row, weights=ordinal / (column + 1), minlength=len(hits))
    means: NDArray[np.float64] = precisions / found.clip(min=1)
    return means


def held_out_views(listings: Integers, seed: int) -> Integers:
    """The position of one photo, drawn, of each listing that has at least two; ascending."""
    shuffled = np.random.default_rng(seed).permutation(len(listings))
    _, drawn, photos = np.unique(listings[shuffled], return_index=True, return_counts=True)
    return np.sort(shuffled[drawn[photos > 1]])


def listing_ranks(
    vectors: Floats, listings: Integers, views: Integers, *, on_progress: OnProgress | None = None
) -> Integers:
    """The rank, from 1, of its own listing in a search with each of `views`: (v,).

    A view is searched among all other photos, and a listing scores by the nearest of its
    photos. Ties rank before the right listing, so that an encoder that sees no difference gains
    nothing from their order. Views are of listings that have another photo.
    """
    ranks = np.empty(len(views), np.int64)
    by_listing = np.argsort(listings, kind="stable")
    _, starts = np.unique(listings[by_listing], return_index=True)
    number = np.unique(listings, return_inverse=True)[1]
    for block in _blocks(len(views), len(vectors), on_progress):
        asked = views[block]
        rows = np.arange(len(asked))
        similarities = vectors[asked] @ vectors.T
        similarities[rows, asked] = -np.inf
        nearness = np.maximum.reduceat(similarities[:, by_listing], starts, axis=1)
        right = nearness[rows, number[asked]]
        ranks[block] = (nearness >= right[:, None]).sum(axis=1)
    return ranks


def _blocks(queries: int, photos: int, on_progress: OnProgress | None) -> Iterator[slice]:
    """Slices of the queries whose similarities to all photos fit in memory."""
    size = max(1, CELLS_AT_ONCE // max(1, photos))
    for start in range(0, queries, size):
        end = min(start + size, queries)
        yield slice(start, end)
        if on_progress is not None:
            on_progress(end, queries)
