from dataclasses import replace

import numpy as np
import pytest

from models.domain.errors import InvalidInput
from models.domain.types import EncoderSpec
from models.evaluation.compare import METRICS, Comparison, compare, distinct_photos
from models.evaluation.examples import choose_examples
from models.evaluation.intervals import cluster_means
from models.labels import LabelledPhotos
from tests.support.evaluation import BAD, CATEGORIES, GOOD, Vectors


def test_the_better_encoder_is_better_by_more_than_chance(comparison: Comparison) -> None:
    assert set(comparison.metrics) == set(METRICS)
    for metric in ("precision_at_1", "map"):
        figures = comparison.metrics[metric]
        assert figures.micro[0].value > 0.95
        assert figures.micro[1].value < 0.7
        assert figures.to_first[0].high < 0


def test_means_are_over_queries_over_categories_and_within_each(
    comparison: Comparison, photos: LabelledPhotos
) -> None:
    search = comparison.searches[1]
    of_query = [photos.categories[query] for query in search.queries]
    figures = comparison.metrics["map"]
    assert figures.micro[1].value == pytest.approx(search.average_precision.mean())
    means = []
    for name in CATEGORIES:
        inside = [
            value
            for value, category in zip(search.average_precision, of_query, strict=True)
            if category == name
        ]
        means.append(np.mean(inside))
        assert comparison.queries_in[name] == len(inside)
        assert figures.by_category[name][1].value == pytest.approx(means[-1])
    assert figures.macro[1].value == pytest.approx(np.mean(means))


def test_recall_counts_held_out_views(comparison: Comparison, photos: LabelledPhotos) -> None:
    several = {name for name in photos.listings if photos.listings.count(name) > 1}
    assert {photos.listings[view] for view in comparison.held_out} == several
    for encoder in range(2):
        at = [comparison.metrics[f"recall_at_{k}"].micro[encoder].value for k in (1, 5, 10)]
        assert at == sorted(at)


def test_a_view_that_looks_like_its_listing_is_found_first(photos: LabelledPhotos) -> None:
    names = sorted(set(photos.listings))
    vectors = np.eye(len(names), dtype=np.float32)[[names.index(n) for n in photos.listings]]
    measured = compare({GOOD: vectors}, photos)
    assert measured.metrics["recall_at_1"].micro[0].value == 1
    assert measured.metrics["recall_at_1"].macro[0].value == 1


def test_intervals_come_from_drawing_listings(
    comparison: Comparison, photos: LabelledPhotos
) -> None:
    search = comparison.searches[1]
    _, listings = np.unique(np.array(photos.listings), return_inverse=True)
    drawn = cluster_means(
        search.average_precision[:, None],
        listings[search.queries],
        np.random.default_rng(comparison.seed),
    )
    assert comparison.metrics["map"].micro[1] == drawn.of(0)


def test_a_seed_draws_the_same_queries_for_every_encoder(
    photos: LabelledPhotos, vectors: Vectors
) -> None:
    encoders = {GOOD: vectors(0.1), BAD: vectors(2.0)}
    drawn = compare(encoders, photos, queries=9, seed=3)
    first, second = drawn.searches
    assert len(first.queries) == 9
    assert first.queries.tolist() == second.queries.tolist()
    assert len(drawn.held_out) == 9
    again = compare(encoders, photos, queries=9, seed=3)
    assert again.metrics == drawn.metrics
    other = compare(encoders, photos, queries=9, seed=4)
    assert other.searches[0].queries.tolist() != first.queries.tolist()


def test_progress_counts_all_searches_of_all_encoders(
    photos: LabelledPhotos, vectors: Vectors
) -> None:
    heard: list[tuple[int, int]] = []
    drawn = compare(
        {GOOD: vectors(0.1), BAD: vectors(2.0)},
        photos,
        on_progress=lambda done, total: heard.append((done, total)),
    )
    total = 2 * (len(drawn.searches[0].queries) + len(drawn.held_out))
    assert heard[-1] == (total, total)
    assert heard == sorted(heard)
    assert len(heard) == 4


def test_nothing_to_find_is_said(photos: LabelledPhotos, vectors: Vectors) -> None:
    one_listing = replace(photos, listings=("one",) * len(photos))
    with pytest.raises(InvalidInput, match="nothing can be evaluated"):
        compare({GOOD: vectors(0.1)}, one_listing)


def test_without_a_second_view_there_is_no_recall(photos: LabelledPhotos, vectors: Vectors) -> None:
    single = replace(photos, listings=photos.hashes)
    measured = compare({GOOD: vectors(0.1)}, single)
    assert set(measured.metrics) == {"precision_at_1", "precision_at_10", "map"}
    assert measured.of_category(CATEGORIES[0], "recall_at_1", 0) is None


def test_a_category_of_one_listing_is_asked_for_nothing(
    photos: LabelledPhotos, vectors: Vectors
) -> None:
    rare = replace(photos, categories=(*photos.categories[:-3], "Rare", "Rare", "Rare"))
    measured = compare({GOOD: vectors(0.1)}, rare)
    assert measured.queries_in["Rare"] == 0
    assert measured.of_category("Rare", "map", 0) is None
    assert measured.of_category("Rare", "recall_at_10", 0) is not None


def test_a_photo_of_several_listings_counts_once(photos: LabelledPhotos) -> None:
    shown_again = photos.take([3, 0, 1, 2, 3, 4])
    again = replace(shown_again, listings=("a", "b", "c", "d", "e", "f"))
    assert distinct_photos(again).hashes == ("3", "0", "1", "2", "4")
    assert distinct_photos(again).listings == ("a", "b", "c", "d", "f")


def test_examples_are_those_that_differ_most(comparison: Comparison) -> None:
    drawn, gains, losses = choose_examples(comparison)
    first, second = comparison.searches
    difference = second.average_precision - first.average_precision
    assert len(drawn.rows) == 8
    assert [difference[row] for row in losses.rows] == sorted(difference)[:6]
    assert all(difference[row] > 0 for row in gains.rows)
    assert losses.title == f"Where {BAD.label} finds most less than {GOOD.label}"


def test_one_encoder_has_examples_too(photos: LabelledPhotos, vectors: Vectors) -> None:
    (drawn,) = choose_examples(compare({GOOD: vectors(0.1)}, photos))
    assert len(drawn.rows) == 8


def test_three_encoders_are_each_compared_with_the_first(
    photos: LabelledPhotos, vectors: Vectors
) -> None:
    third = EncoderSpec("resnet50", 8, "c" * 64)
    measured = compare({BAD: vectors(2.0), GOOD: vectors(0.1), third: vectors(0.1)}, photos)
    second, last = measured.metrics["map"].to_first
    assert second == last
    assert second.low > 0
    assert len(choose_examples(measured)) == 5
