import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.recommendations import similarity
from models.evaluation.recommendations.similarity import UNKNOWN, Similarities
from models.vectors import as_stored, to_stored


def drawn(photos: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(photos, 6)).astype(np.float32)
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@given(shown=st.lists(st.integers(0, 3), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_a_listing_is_as_similar_as_its_most_similar_photo(shown: list[int], seed: int) -> None:
    # Listing by listing, how many photos it has; the second photo of all is of nothing.
    listings = np.repeat(np.arange(len(shown)), shown)
    vectors = drawn(len(listings), seed)
    if len(vectors) > 1:
        vectors[1] = 0
    similarities = Similarities(vectors, listings, len(shown))
    query = drawn(1, seed + 1)
    expected = [
        max(
            (float(one @ query[0]) for one in vectors[listings == row] if one.any()),
            default=UNKNOWN,
        )
        for row in range(len(shown))
    ]
    assert similarities.rows(query)[0] == pytest.approx(expected, abs=1e-6)
    has_vector = similarities.has_vector(np.arange(len(shown)))
    assert has_vector.tolist() == [value > UNKNOWN for value in expected]


def test_a_listing_is_compared_by_its_first_photo() -> None:
    vectors = drawn(3, 0)
    similarities = Similarities(vectors, np.array([0, 0, 1]), 2)
    assert similarities.vectors_of(np.array([1, 0])).tolist() == vectors[[2, 0]].tolist()


@pytest.mark.parametrize("most", [0, 10**9])
def test_stored_vectors_are_compared_as_the_product_reads_them(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "FLOAT32_BYTES", most)
    monkeypatch.setattr(similarity, "BLOCK_BYTES", 50)
    vectors = drawn(7, 0)
    similarities = Similarities(to_stored(vectors), np.arange(7), 7)
    read = as_stored(vectors)
    assert similarities.vectors_of(np.arange(7)).tolist() == read.tolist()
    assert similarities.rows(read) == pytest.approx(read @ read.T, abs=1e-6)


def test_what_is_asked_again_is_the_same_whatever_is_kept() -> None:
    vectors = drawn(9, 0)
    keeping = Similarities(vectors, np.arange(9), 9)
    forgetting = Similarities(vectors, np.arange(9), 9, cache_bytes=0)
    rng = np.random.default_rng(1)
    for _ in range(20):
        asked = rng.integers(0, 9, 4)
        parts = [
            np.concatenate([row for _, row in one.blocks(asked)]) for one in (keeping, forgetting)
        ]
        assert parts[0] == pytest.approx(vectors[asked] @ vectors.T, abs=1e-6)
        assert parts[1] == pytest.approx(parts[0], abs=1e-6)
    assert len(forgetting._cache) == 1


def test_blocks_are_all_of_the_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BLOCK_BYTES", 2 * 4 * 5)
    similarities = Similarities(drawn(5, 0), np.arange(5), 5)
    blocks = list(similarities.blocks(np.array([4, 3, 2])))
    assert [(part.start, part.stop, len(rows)) for part, rows in blocks] == [(0, 2, 2), (2, 3, 1)]
