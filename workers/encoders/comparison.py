"""How differently two encoders search the catalogue, measured with their stored vectors."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.catalogue.listing_photos import shown_in
from db.session import Database
from db.tables import Encoder
from db.vectors.embeddings import live_vectors_of, photos_of_both
from models.evaluation.intervals import Estimate, cluster_means
from models.evaluation.retrieval_metrics import DEPTH, Retrieval, answerable, retrieve

PHOTOS: Final = 10_000
"""The most photos that are searched: 80 MB of each encoder, at 2,048 numbers a vector."""
QUERIES: Final = 500
"""Enough to estimate a precision to within about four percentage points."""
SEED: Final = 0

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A sample of the catalogue, searched with both encoders by some of its own photos.

    `overlap_at_10` is the mean share of the ten nearest photos of other listings that both find.
    The precisions are the share of queries whose nearest photo is of the same category, with 95%
    intervals; `difference` is the encoder's less the baseline's, of the same queries. They are
    None where no two listings have a category in common.
    """

    encoder: str
    baseline: str
    photos: int
    queries: int
    overlap_at_10: float
    precision_at_1: Estimate | None
    baseline_precision_at_1: Estimate | None
    difference: Estimate | None

    @property
    def is_worse(self) -> bool:
        """Whether the encoder finds less than the baseline, by more than chance explains."""
        return self.difference is not None and self.difference.high < 0

    def to_json(self) -> dict[str, object]:
        """The comparison as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Photos that both encoders have embedded: vectors (n, d) of each, listings and categories.

    Listings and categories (n,) are numbered; -1 is no category.
    """

    ours: NDArray[np.float32]
    theirs: NDArray[np.float32]
    listings: NDArray[np.int64]
    categories: NDArray[np.int64]


def compare(
    database: Database, encoder: Encoder, baseline: Encoder, on_progress: OnProgress
) -> Comparison | None:
    """Compare an encoder with another; None if they have not embedded two photos in common."""
    rng = np.random.default_rng(SEED)
    sample = _sample(database, encoder.id, baseline.id, rng)
    if len(sample.listings) <= 1:
        return None
    queries, are_answerable = _queries(sample, rng)
    found = []
    for number, vectors in enumerate((sample.ours, sample.theirs)):
        found.append(retrieve(vectors, sample.listings, sample.categories, queries))
        on_progress(number + 1, 2)
    ours, theirs = found
    precisions = _precisions(sample, ours, theirs) if are_answerable else (None, None, None)
    return Comparison(
        encoder.spec.label,
        baseline.spec.label,
        len(sample.listings),
        len(queries),
        _overlap(ours, theirs),
        *precisions,
    )


def _sample(
    database: Database, encoder_id: int, baseline_id: int, rng: np.random.Generator
) -> _Sample:
    with database.read() as session:
        both = photos_of_both(session, encoder_id, baseline_id)
    drawn = np.sort(rng.choice(both, min(PHOTOS, len(both)), replace=False)).tolist()
    with database.read() as session:
        our_ids, ours = live_vectors_of(session, encoder_id, drawn)
        their_ids, theirs = live_vectors_of(session, baseline_id, drawn)
        shown = shown_in(session, drawn)
    common = [
        photo_id
        for photo_id in np.intersect1d(our_ids, their_ids).tolist()
        # It may have been removed between the two transactions.
        if photo_id in shown
    ]
    rows = [shown[photo_id] for photo_id in common]
    _, listings = np.unique(np.array([str(row.listing_id) for row in rows]), return_inverse=True)
    categories = [-1 if row.category_id is None else row.category_id for row in rows]
    return _Sample(
        _rows_of(common, our_ids, ours),
        _rows_of(common, their_ids, theirs),
        listings.astype(np.int64),
        np.array(categories, np.int64),
    )


def _rows_of(
    wanted: list[int], ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    row = {photo_id: number for number, photo_id in enumerate(ids.tolist())}
    return vectors[[row[photo_id] for photo_id in wanted]]


def _queries(sample: _Sample, rng: np.random.Generator) -> tuple[NDArray[np.int64], bool]:
    """Draw queries: of photos that can find their category, if there are any, or else of all."""
    possible = answerable(sample.listings, sample.categories)
    possible = possible[sample.categories[possible] >= 0]
    are_answerable = len(possible) > 0
    if not are_answerable:
        possible = np.arange(len(sample.listings))
    return np.sort(rng.choice(possible, min(QUERIES, len(possible)), replace=False)), are_answerable


def _overlap(ours: Retrieval, theirs: Retrieval) -> float:
    shares = []
    for mine, other in zip(ours.neighbours.tolist(), theirs.neighbours.tolist(), strict=True):
        found, expected = set(mine) - {-1}, set(other) - {-1}
        # Where there are fewer than ten, both find all.
        shares.append(len(found & expected) / min(DEPTH, len(expected)) if expected else 1.0)
    return float(np.mean(shares))


def _precisions(
    sample: _Sample, ours: Retrieval, theirs: Retrieval
) -> tuple[Estimate, Estimate, Estimate]:
    values = np.stack([ours.precision_at_1, theirs.precision_at_1], axis=1)
    means = cluster_means(values, sample.listings[ours.queries], np.random.default_rng(SEED))
    return means.of(0), means.of(1), means.difference(0, 1)
