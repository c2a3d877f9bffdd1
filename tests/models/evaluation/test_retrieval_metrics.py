import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.encoders.encoder import unit_rows
from models.evaluation import retrieval_metrics
from models.evaluation.retrieval_metrics import (
    Floats,
    Integers,
    answerable,
    held_out_views,
    listing_ranks,
    retrieve,
)

Catalogue = tuple[Floats, Integers, Integers]


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    """Few directions, so that many photos are equally near; sums of these products are exact."""
    photos = draw(st.integers(2, 14))
    vectors = draw(arrays(np.float32, (photos, 3), elements=st.sampled_from([-1, -0.5, 0, 0.5])))
    listings = draw(arrays(np.int64, photos, elements=st.integers(0, 5)))
    categories = draw(arrays(np.int64, photos, elements=st.integers(0, 2)))
    return vectors, listings, categories


def nearest(vectors: Floats, query: int, candidates: list[int]) -> list[int]:
    """Candidates, the nearest first and equally near ones in order."""
    return sorted(candidates, key=lambda photo: (-float(vectors[query] @ vectors[photo]), photo))


def average_precision(hits: list[bool]) -> float:
    precisions = [sum(hits[: n + 1]) / (n + 1) for n, hit in enumerate(hits) if hit]
    return sum(precisions) / len(precisions) if precisions else 0.0


@given(catalogues(), st.integers(1, 40))
def test_searches_agree_with_a_sort_in_plain_python(catalogue: Catalogue, cells: int) -> None:
    vectors, listings, categories = catalogue
    queries = np.arange(len(vectors))[::2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval_metrics, "CELLS_AT_ONCE", cells)
        found = retrieve(vectors, listings, categories, queries)
    for row, query in enumerate(queries.tolist()):
        others = [p for p in range(len(vectors)) if listings[p] != listings[query]]
        ranking = nearest(vectors, query, others)
        hits = [bool(categories[photo] == categories[query]) for photo in ranking]
        assert found.precision_at_1[row] == sum(hits[:1])
        assert found.precision_at_10[row] == sum(hits[:10]) / 10
        assert found.average_precision[row] == pytest.approx(average_precision(hits))
        assert [n for n in found.neighbours[row].tolist() if n >= 0] == ranking[:10]


@given(catalogues(), st.integers(1, 40), st.integers(0, 3))
def test_ranks_of_listings_agree_with_plain_python(
    catalogue: Catalogue, cells: int, seed: int
) -> None:
    vectors, listings, _ = catalogue
    views = held_out_views(listings, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval_metrics, "CELLS_AT_ONCE", cells)
        ranks = listing_ranks(vectors, listings, views)
    for view, rank in zip(views.tolist(), ranks.tolist(), strict=True):
        nearness: dict[int, float] = {}
        for photo, listing in enumerate(listings.tolist()):
            if photo != view:
                similarity = float(vectors[view] @ vectors[photo])
                nearness[listing] = max(similarity, nearness.get(listing, -9))
        own = nearness.pop(int(listings[view]))
        assert rank == 1 + sum(other >= own for other in nearness.values())


@given(catalogues())
def test_answerable_are_photos_whose_category_another_listing_has(catalogue: Catalogue) -> None:
    _, listings, categories = catalogue
    pairs = list(zip(listings.tolist(), categories.tolist(), strict=True))
    assert answerable(listings, categories).tolist() == [
        position
        for position, (listing, category) in enumerate(pairs)
        if any(item != listing and kind == category for item, kind in pairs)
    ]


@given(catalogues(), st.integers(0, 3))
def test_one_view_of_each_listing_with_two_photos_is_held_out(
    catalogue: Catalogue, seed: int
) -> None:
    _, listings, _ = catalogue
    views = held_out_views(listings, seed)
    several = [n for n, photos in enumerate(np.bincount(listings)) if photos > 1]
    assert sorted(listings[views].tolist()) == several
    assert held_out_views(listings, seed).tolist() == views.tolist()


def test_which_view_is_held_out_depends_on_the_seed() -> None:
    listings = np.repeat(np.arange(20), 3)
    assert held_out_views(listings, 0).tolist() != held_out_views(listings, 1).tolist()
    assert set(held_out_views(listings, 0) % 3) == {0, 1, 2}


def test_an_encoder_that_sees_no_difference_finds_no_listing() -> None:
    listings = np.repeat(np.arange(30), 2)
    ranks = listing_ranks(np.ones((60, 2), np.float32), listings, held_out_views(listings, 0))
    assert (ranks == 30).all()


def test_memory_does_not_grow_with_the_square_of_photos() -> None:
    photos = 4_000
    rng = np.random.default_rng(0)
    vectors = unit_rows(rng.normal(size=(photos, 4)).astype(np.float32))
    listings, categories = np.arange(photos), rng.integers(9, size=photos)
    tracemalloc.start()
    retrieve(vectors, listings, categories, np.arange(photos))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Similarities and their order alone would be 12 bytes for each pair.
    assert peak < photos**2 * 12 * 0.7


def test_progress_ends_with_the_last_query() -> None:
    heard: list[tuple[int, int]] = []
    vectors = np.eye(5, dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval_metrics, "CELLS_AT_ONCE", 10)
        retrieve(
            vectors,
            np.arange(5),
            np.zeros(5, np.int64),
            np.arange(5),
            on_progress=lambda done, total: heard.append((done, total)),
        )
    assert heard == [(2, 5), (4, 5), (5, 5)]
