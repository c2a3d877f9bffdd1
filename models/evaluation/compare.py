"""Comparison of encoders: the same searches with each, and the differences of their metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import InvalidInput
from models.domain.types import EncoderSpec
from models.evaluation.intervals import Estimate, cluster_means, mean_of
from models.evaluation.retrieval_metrics import (
    Floats,
    Integers,
    OnProgress,
    Retrieval,
    answerable,
    held_out_views,
    listing_ranks,
    retrieve,
)
from models.labels import LabelledPhotos

RECALL_AT: Final = (1, 5, 10)
OF_CATEGORY: Final = ("precision_at_1", "precision_at_10", "map")
OF_LISTING: Final = tuple(f"recall_at_{k}" for k in RECALL_AT)
METRICS: Final = OF_CATEGORY + OF_LISTING


@dataclass(frozen=True, slots=True)
class Figures:
    """One metric of every encoder, in their order.

    `micro` is the mean over queries, `macro` the mean over categories of their means. `to_first`
    has the differences of the other encoders to the first, on the same draws.
    """

    micro: tuple[Estimate, ...]
    macro: tuple[Estimate, ...]
    to_first: tuple[Estimate, ...]
    by_category: Mapping[str, tuple[Estimate, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The results of searching the same photos with each encoder.

    `searches` has one retrieval for each encoder, all of the same queries; `held_out` (v,) are the
    photos whose listing was searched. `queries_in` counts the queries of each category. `metrics`
    has those of `METRICS` that could be measured: no recall where no listing has two photos.
    """

    encoders: tuple[EncoderSpec, ...]
    photos: int
    listings: int
    seed: int
    searches: tuple[Retrieval, ...]
    held_out: Integers
    queries_in: Mapping[str, int]
    metrics: Mapping[str, Figures]

    def of_category(self, category: str, metric: str, encoder: int) -> Estimate | None:
        """A metric's mean over the queries of one category; None where there were none."""
        figures = self.metrics.get(metric)
        estimates = figures and figures.by_category.get(category)
        return estimates[encoder] if estimates else None


def distinct_photos(photos: LabelledPhotos) -> LabelledPhotos:
    """Each photo once, with the first of the listings that show it.

    A photo of several listings would retrieve its own copy with any encoder.
    """
    first = {digest: row for row, digest in reversed(list(enumerate(photos.hashes)))}
    return photos.take(sorted(first.values()))


def compare(
    encoders: Mapping[EncoderSpec, Floats],
    photos: LabelledPhotos,
    *,
    queries: int | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Comparison:
    """Compare encoders by their unit vectors (n, dimension) of the same n photos.

    At most `queries` photos, drawn by `seed`, are searched for their category, and as many for
    their listing; all by default. `on_progress` counts searches of all encoders. Raises
    `InvalidInput` when no query has a relevant photo.
    """
    listings = np.unique(np.array(photos.listings, object), return_inverse=True)[1]
    names, category = np.unique(np.array(photos.categories, object), return_inverse=True)
    asked = _drawn(answerable(listings, category), queries, seed)
    if not len(asked):
        raise InvalidInput("No two listings of one category have photos: nothing can be evaluated.")
    views = _drawn(held_out_views(listings, seed), queries, seed)
    progress = _Progress((len(asked) + len(views)) * len(encoders), on_progress)
    searches, ranks = [], []
    for vectors in encoders.values():
        searches.append(
            retrieve(vectors, listings, category, asked, on_progress=progress.of(len(asked)))
        )
        ranks.append(listing_ranks(vectors, listings, views, on_progress=progress.of(len(views))))
    metrics = _figures(
        OF_CATEGORY,
        np.array([[s.precision_at_1, s.precision_at_10, s.average_precision] for s in searches]),
        listings[asked],
        names[category[asked]],
        seed,
    )
    if len(views):
        found = np.array([[rank <= k for k in RECALL_AT] for rank in ranks], np.float64)
        metrics |= _figures(OF_LISTING, found, listings[views], names[category[views]], seed)
    counted = np.bincount(category[asked], minlength=len(names))
    return Comparison(
        encoders=tuple(encoders),
        photos=len(photos),
        listings=len(set(photos.listings)),
        seed=seed,
        searches=tuple(searches),
        held_out=views,
        queries_in={name: int(n) for name, n in zip(names, counted, strict=True)},
        metrics=metrics,
    )


class _Progress:
    """Adds up the progress of several calls."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total = total
        self._on_progress = on_progress
        self._before = 0

    def of(self, searches: int) -> OnProgress | None:
        """The callback for the next call, of so many searches."""
        before, self._before = self._before, self._before + searches
        report = self._on_progress
        return report and (lambda done, _: report(before + done, self._total))


def _drawn(positions: Integers, most: int | None, seed: int) -> Integers:
    if most is None or len(positions) <= most:
        return positions
    return np.sort(np.random.default_rng(seed).choice(positions, most, replace=False))


def _figures(
    metrics: Sequence[str],
    values: NDArray[np.float64],
    listings: Integers,
    categories: NDArray[np.object_],
    seed: int,
) -> dict[str, Figures]:
    """The figures of each metric, from values (encoders, metrics, queries)."""
    encoders = len(values)
    columns = values.reshape(-1, len(listings)).T
    rng = np.random.default_rng(seed)
    overall = cluster_means(columns, listings, rng)
    inside = {
        name: cluster_means(columns[categories == name], listings[categories == name], rng)
        for name in dict.fromkeys(categories)
    }
    across = mean_of(list(inside.values()))
    figures: dict[str, Figures] = {}
    for number, metric in enumerate(metrics):
        column = [encoder * len(metrics) + number for encoder in range(encoders)]
        figures[metric] = Figures(
            micro=tuple(overall.of(c) for c in column),
            macro=tuple(across.of(c) for c in column),
            to_first=tuple(overall.difference(c, column[0]) for c in column[1:]),
            by_category={
                name: tuple(means.of(c) for c in column) for name, means in inside.items()
            },
        )
    return figures
