"""What is learned finds categories and keeps the same item findable; noise teaches nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.adaptation.learn import KIND_SHARE, learn
from models.adaptation.trial import (
    learn_from,
    learnable,
    refusal_of,
    require_enough,
    try_adaptation,
)
from models.domain.errors import InvalidInput
from models.domain.types import EncoderSpec
from models.encoders.encoder import unit_rows
from models.evaluation.compare import compare
from models.labels import LabelledPhotos
from tests.support.adaptation import CATEGORIES, LISTINGS, made_up

BASE = EncoderSpec("thumbnail", 96, "0" * 64)


def relabelled(photos: LabelledPhotos, categories: Sequence[str]) -> LabelledPhotos:
    """The same photos, the listings filed under these, by their order."""
    number = {listing: place for place, listing in enumerate(dict.fromkeys(photos.listings))}
    return replace(
        photos, categories=tuple(categories[number[listing]] for listing in photos.listings)
    )


def test_it_finds_more_of_a_category_and_no_less_of_the_item_itself() -> None:
    photos, vectors = made_up()
    trial = try_adaptation(BASE, photos, vectors)
    assert trial.refusal is None
    metrics = trial.comparison.metrics
    assert metrics["map"].to_first[0].low > 0.1
    assert metrics["precision_at_1"].to_first[0].low > 0
    assert metrics["recall_at_1"].to_first[0].low > -0.02
    # Nothing was measured on what was learned from.
    tested = {photos.listings[row] for row in trial.tested}
    assert len(tested) == LISTINGS // 2
    assert trial.comparison.listings == LISTINGS // 2


def test_the_same_photos_give_the_same_map() -> None:
    photos, vectors = made_up()
    one, other = (learn_from(photos, vectors) for _ in range(2))
    assert one.to_bytes() == other.to_bytes()
    assert one.sizes == (BASE.dimension, CATEGORIES - 1)
    assert one.weights[1] ** 2 == pytest.approx(KIND_SHARE)


def test_shuffled_categories_are_refused() -> None:
    photos, vectors = made_up()
    names = np.random.default_rng(5).permutation([f"c{n % CATEGORIES}" for n in range(LISTINGS)])
    trial = try_adaptation(BASE, relabelled(photos, names.tolist()), vectors)
    assert trial.refusal
    assert "does not find more" in trial.refusal


def test_what_loses_the_item_is_refused() -> None:
    photos, vectors = made_up(background=0.1)
    adaptation = learn_from(photos, vectors)
    kinds_alone = replace(adaptation, weights=(0.0, 1.0))
    spec = replace(BASE, fingerprint="1" * 64)
    compared = compare({BASE: vectors, spec: kinds_alone.apply(vectors)}, photos)
    assert compared.metrics["map"].to_first[0].low > 0
    refusal = refusal_of(compared)
    assert refusal
    assert refusal.startswith("it finds less: recall_at_1 -0.")


@pytest.mark.parametrize(
    ("listings", "categories"),
    [(150, 5), (LISTINGS, 2), (LISTINGS, LISTINGS)],
    ids=["few listings", "two categories", "a category a listing"],
)
def test_too_little_to_learn_from_is_refused(listings: int, categories: int) -> None:
    photos, vectors = made_up(listings=listings, categories=categories)
    rows = np.flatnonzero(learnable(photos, "")).tolist()
    with pytest.raises(InvalidInput, match="needs 200 listings in 3 categories"):
        try_adaptation(BASE, photos.take(rows), vectors[rows])


def test_rare_categories_and_unknown_ones_are_not_learned_from() -> None:
    photos, _ = made_up(listings=20, categories=2)
    names = ["often"] * 10 + ["rare"] * 3 + [""] * 7
    chosen = learnable(relabelled(photos, names), "")
    assert chosen.tolist() == [True] * 20 + [False] * 20
    with pytest.raises(InvalidInput, match="there are 20 in 1"):
        require_enough(relabelled(photos, ["often"] * 20))


def test_few_photos_of_many_numbers_are_learned_from() -> None:
    """There are fewer photos than numbers, and a number that never differs."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, 96)).astype(np.float32)
    vectors[:, 7] = 1
    adaptation = learn(unit_rows(vectors), np.arange(40) % 4)
    adapted = adaptation.apply(unit_rows(vectors))
    assert np.isfinite(adapted).all()
    assert adaptation.sizes == (39, 3)
