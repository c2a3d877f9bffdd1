"""What held-out queries find in a catalogue: the nearest listings, and how near they are.

A label is for a result of a search, and a query's best results are the extremes of all that it is
compared with. So thresholds are fitted to results of whole searches, not to pairs of photos.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.matching.labels import NEIGHBOURS, VOTERS

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
OnSearched = Callable[[int], None]
"""Called with how many queries were searched with since the last call."""

DEPTH: Final = 10
"""Listings of a query's answer that are looked at: about a page."""
NEAREST: Final = 64
"""Photos among which those listings are looked for; a listing has few of the nearest photos."""
NOBODY: Final = -1
"""No listing is left out; there is no further result."""

# Similarities held at once: 16 MB.
_CELLS_AT_ONCE: Final = 4_000_000
_NOT_FOUND: Final = -2.0


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Queries (q,): the unit vectors of each (m, dimension), one a photo, and what is left out.

    `without` is the number of the listing that is not to be found, `NOBODY` where there is none.
    """

    vectors: Sequence[Floats]
    without: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The answers to queries, best first (q, 10): listings, the photo of each, its similarity.

    Listings and photos are `NOBODY`, and similarities -2, where there are no more. `reference` (q,)
    is the similarity of the nearest listing of rank `NEIGHBOURS`, NaN where there are fewer;
    `voters` (q, 20) are the nearest photos. A photo is as near to a query of several photos as to
    the nearest of them.
    """

    listings: Integers
    photos: Integers
    similarities: Floats
    reference: Floats
    voters: Integers

    def take(self, rows: Integers) -> "Found":
        """The answers to these queries."""
        return Found(
            self.listings[rows],
            self.photos[rows],
            self.similarities[rows],
            self.reference[rows],
            self.voters[rows],
        )


def join(parts: Sequence[Found]) -> Found:
    """The answers of all parts, one after the other; there is one part at least."""
    return Found(
        np.concatenate([part.listings for part in parts]),
        np.concatenate([part.photos for part in parts]),
        np.concatenate([part.similarities for part in parts]),
        np.concatenate([part.reference for part in parts]),
        np.concatenate([part.voters for part in parts]),
    )


def find(
    asked: Asked, catalogue: Floats, listings: Integers, on_searched: OnSearched | None = None
) -> Found:
    """Search each query among the photos (n, dimension) of these listings (n,), numbered from 0."""
    parts = []
    for rows in _blocks(len(asked.vectors), len(catalogue)):
        vectors = [asked.vectors[row] for row in rows]
        parts.append(_find_block(vectors, asked.without[rows], catalogue, listings))
        if on_searched is not None:
            on_searched(len(rows))
    return join(parts) if parts else _find_block([], asked.without, catalogue, listings)


def _blocks(queries: int, photos: int) -> Iterator[range]:
    at_once = max(1, _CELLS_AT_ONCE // max(1, photos))
    for start in range(0, queries, at_once):
        yield range(start, min(start + at_once, queries))


def _find_block(
    vectors: Sequence[Floats], without: Integers, catalogue: Floats, listings: Integers
) -> Found:
    count = len(vectors)
    found = Found(
        np.full((count, DEPTH), NOBODY, np.int64),
        np.full((count, DEPTH), NOBODY, np.int64),
        np.full((count, DEPTH), _NOT_FOUND, np.float32),
        np.full(count, np.nan, np.float32),
        np.full((count, VOTERS), NOBODY, np.int64),
    )
    all_similarities = np.concatenate(vectors) @ catalogue.T if count else np.empty((0, 0))
    ends = np.cumsum([len(own) for own in vectors])
    for row, own in enumerate(vectors):
        similarities = all_similarities[ends[row] - len(own) : ends[row]].max(axis=0)
        similarities[listings == without[row]] = _NOT_FOUND
        nearest = _nearest(similarities)
        voters = nearest[:VOTERS]
        found.voters[row, : len(voters)] = voters
        _, first = np.unique(listings[nearest], return_index=True)
        best = nearest[np.sort(first)[:DEPTH]]
        found.listings[row, : len(best)] = listings[best]
        found.photos[row, : len(best)] = best
        found.similarities[row, : len(best)] = similarities[best]
        if len(best) >= NEIGHBOURS:
            found.reference[row] = similarities[best[NEIGHBOURS - 1]]
    return found


def _nearest(similarities: Floats) -> Integers:
    """The positions of the nearest photos that are not left out, nearest first."""
    count = min(NEAREST, len(similarities))
    some = np.argpartition(-similarities, count - 1)[:count] if count else np.empty(0, np.int64)
    ordered: Integers = some[np.lexsort((some, -similarities[some]))].astype(np.int64)
    return ordered[similarities[ordered] > _NOT_FOUND]
