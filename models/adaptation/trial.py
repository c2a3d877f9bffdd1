"""Whether an adaptation may be used: measured on listings that it has not learned from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.adaptation.adaptation import Adaptation
from models.adaptation.adapted_package import adapted_spec
from models.adaptation.learn import learn
from models.domain.errors import InvalidInput
from models.domain.types import EncoderSpec
from models.evaluation.compare import Comparison, compare
from models.evaluation.intervals import Estimate
from models.evaluation.retrieval_metrics import OnProgress
from models.labels import LabelledPhotos

MIN_LISTINGS: Final = 200
"""Labelled listings under which nothing is learned: half of them measure the result."""
MIN_CATEGORIES: Final = 3
MIN_IN_CATEGORY: Final = 6
"""Listings under which a category is not learned from."""
QUERIES: Final = 2_000
"""The most that are searched: differences of a percentage point are known then."""

MIN_GAIN: Final = 0.02
"""By how much the mean average precision must be higher at least, whatever chance does."""
KEPT: Final = ("precision_at_1", "recall_at_1", "recall_at_10")
"""Metrics that must not be lower by more than chance explains."""
OF_ITEM: Final = ("recall_at_1", "recall_at_10")
"""Metrics of the listing's own other photos, whose sum must not be lower."""

HELD_OUT: Final = "on listings that it has not learned from"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """An adaptation learned from half of the listings, and both encoders compared on the others.

    `refusal` says why it may not be used, None if it may. `tested` are the rows of the photos that
    were searched.
    """

    spec: EncoderSpec
    comparison: Comparison
    tested: NDArray[np.int64]
    refusal: str | None


def learnable(photos: LabelledPhotos, unknown: str) -> NDArray[np.bool_]:
    """Which photos are of categories with enough listings (n,). `unknown` is no category."""
    listings = Counter(dict(zip(photos.listings, photos.categories, strict=True)).values())
    enough = {name for name, count in listings.items() if count >= MIN_IN_CATEGORY} - {unknown}
    return np.array([category in enough for category in photos.categories], bool)


def require_enough(photos: LabelledPhotos) -> None:
    """Raise InvalidInput unless these learnable photos are of enough listings and categories."""
    listings, categories = len(set(photos.listings)), len(set(photos.categories))
    if listings < MIN_LISTINGS or categories < MIN_CATEGORIES:
        raise InvalidInput(
            f"An adaptation needs {MIN_LISTINGS} listings in {MIN_CATEGORIES} categories of at "
            f"least {MIN_IN_CATEGORY}; there are {listings:,} in {categories:,}."
        )


def try_adaptation(
    base: EncoderSpec,
    photos: LabelledPhotos,
    vectors: NDArray[np.float32],
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Trial:
    """Learn from half of the listings, drawn by `seed`, and compare on the other half.

    `vectors` (n, dimension) are the base's of the photos, which are `learnable`. Raises as
    `require_enough`.
    """
    require_enough(photos)
    learned_from, tested = halves(photos, seed)
    adaptation = learn_from(photos.take(learned_from.tolist()), vectors[learned_from])
    # Provisional: the one that is learned from all listings has another.
    spec = adapted_spec(base, "0" * 64, adaptation.dimension)
    comparison = compare(
        {base: vectors[tested], spec: adaptation.apply(vectors[tested])},
        photos.take(tested.tolist()),
        queries=QUERIES,
        seed=seed,
        on_progress=on_progress,
    )
    return Trial(spec, comparison, tested, refusal_of(comparison))


def halves(photos: LabelledPhotos, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows to test with: of each category, half of the listings, drawn."""
    rng = np.random.default_rng(seed)
    of_category: dict[str, list[str]] = {}
    for listing, category in sorted(set(zip(photos.listings, photos.categories, strict=True))):
        of_category.setdefault(category, []).append(listing)
    learned: set[str] = set()
    for listings in of_category.values():
        rng.shuffle(listings)
        learned |= set(listings[: (len(listings) + 1) // 2])
    is_learned = np.array([listing in learned for listing in photos.listings], bool)
    return np.flatnonzero(is_learned), np.flatnonzero(~is_learned)


def learn_from(photos: LabelledPhotos, vectors: NDArray[np.float32]) -> Adaptation:
    """The map that these photos' categories teach."""
    categories = np.unique(np.array(photos.categories, object), return_inverse=True)[1]
    return learn(vectors, categories)


def refusal_of(comparison: Comparison) -> str | None:
    """Why the second encoder may not replace the first one; None if it may."""
    gains = {name: figures.to_first[0] for name, figures in comparison.metrics.items()}
    if gains["map"].low < MIN_GAIN:
        return f"it does not find more of a category: {_shown('map', gains)} {HELD_OUT}."
    for name in KEPT:
        if name in gains and gains[name].high < 0:
            return f"it finds less: {_shown(name, gains)} {HELD_OUT}."
    if sum(gains[name].value for name in OF_ITEM if name in gains) < 0:
        both = ", ".join(_shown(name, gains) for name in OF_ITEM)
        return f"it finds less of a listing's other photos: {both} {HELD_OUT}."
    return None


def _shown(name: str, gains: Mapping[str, Estimate]) -> str:
    gain = gains[name]
    return f"{name} {gain.value:+.3f} ({gain.low:+.3f} … {gain.high:+.3f})"
