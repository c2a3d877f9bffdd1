"""The vectors of saved searches in memory give what comparing one by one gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.encoders.encoder import unit_rows
from models.saved_queries import FIRST_ROWS, PHOTOS_AT_ONCE, SavedQueries, Similar

DIMENSION = 8
DEFAULT = 0.5


def drawn(seed: int, count: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return unit_rows(rows.astype(np.float32))


def pairs(similar: Similar) -> dict[tuple[int, int], float]:
    keys = zip(similar.numbers.tolist(), similar.photos.tolist(), strict=True)
    return dict(zip(keys, similar.similarities.tolist(), strict=True))


def one_by_one(
    saved: dict[int, tuple[NDArray[np.float32], float | None]], photos: NDArray[np.float32]
) -> dict[tuple[int, int], float]:
    found = {}
    for number, (vectors, threshold) in saved.items():
        for row, photo in enumerate(photos):
            cosine = max((float(vector @ photo) for vector in vectors), default=-2.0)
            if cosine >= (DEFAULT if threshold is None else threshold):
                found[number, row] = cosine
    return found


OPERATIONS = st.lists(
    st.tuples(
        st.integers(1, 12), st.integers(0, 3), st.sampled_from([None, -1.0, 0.13, 0.71, 1.1])
    ),
    max_size=40,
)


@given(operations=OPERATIONS, removed=st.sets(st.integers(1, 12)), photos=st.integers(1, 3))
def test_any_history_gives_what_one_by_one_gives(
    operations: list[tuple[int, int, float | None]], removed: set[int], photos: int
) -> None:
    queries = SavedQueries(DIMENSION)
    saved: dict[int, tuple[NDArray[np.float32], float | None]] = {}
    for seed, (number, count, threshold) in enumerate(operations):
        saved[number] = (drawn(seed, count), threshold)
        queries.put(number, *saved[number])
    for number in removed:
        queries.remove(number)
        saved.pop(number, None)
    asked = drawn(1_000, photos)
    expected = one_by_one(saved, asked)
    found = pairs(queries.similar(asked, DEFAULT))
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-6)
    assert len(queries) == len(saved)


def test_room_grows_and_shrinks_and_nothing_is_lost() -> None:
    queries, many = SavedQueries(DIMENSION), 5 * FIRST_ROWS
    vectors = drawn(1, many)
    for number, vector in enumerate(vectors, 1):
        queries.put(number, vector[np.newaxis], 0.999)
    photos = vectors[: PHOTOS_AT_ONCE + 3]
    alone = {(number + 1, number) for number in range(len(photos))}
    assert pairs(queries.similar(photos, DEFAULT)).keys() == alone
    for number in range(len(photos) + 1, many + 1):
        queries.remove(number)
    assert pairs(queries.similar(photos, DEFAULT)).keys() == alone
    assert len(queries._owners) < many
