"""Every engine gives the same answers, ties aside: those of brute force over the live photos."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.domain.types import EncoderSpec, Match
from models.index.generation import Generation
from models.index.photo_index import PhotoIndex
from models.index.vector_index import VectorIndex
from tests.support.generations import DIMENSION

PHOTOS = 40
IN_GENERATION = 25

# Engines add up the same products in another order.
CLOSE = 1e-5


class Engine(PhotoIndex, Protocol):
    """An index that can be written to."""

    def upsert(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None: ...
    def remove(self, ids: NDArray[np.int64]) -> None: ...


def drawn() -> NDArray[np.float32]:
    """A vector a photo, as the database keeps them; some photos have the same."""
    rows = np.random.default_rng(3).normal(size=(PHOTOS, DIMENSION))
    rows[3::4] = rows[2::4]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    kept: NDArray[np.float32] = rows.astype(np.float32)
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    return kept


VECTORS = drawn()


def array(photo_ids: Iterable[int]) -> NDArray[np.int64]:
    return np.array(sorted(photo_ids), np.int64)


EVERY = array(range(1, PHOTOS + 1))


@pytest.fixture(scope="module", params=["faiss", "faiss on a generation", "milvus"])
def engine(
    request: pytest.FixtureRequest,
    generation_of: Callable[..., Generation],
    encoder: EncoderSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    if request.param == "milvus":
        pytest.importorskip("pymilvus", reason="needs the extra milvus")
        from models.index.milvus import open_milvus  # noqa: PLC0415 - not everybody has it
        from tests.support.milvus import milvus_server  # noqa: PLC0415 - the same

        with milvus_server(tmp_path_factory.mktemp("milvus")) as url:
            yield open_milvus(url, encoder)
    else:
        index = VectorIndex(DIMENSION)
        if request.param == "faiss on a generation":
            index.swap(generation_of(EVERY[:IN_GENERATION].tolist(), VECTORS[:IN_GENERATION]))
        yield index


def ranked(query: NDArray[np.float32], live: set[int]) -> dict[int, float]:
    """Brute force: the photos and their cosines, best first."""
    cosines = {photo_id: float(VECTORS[photo_id - 1] @ query) for photo_id in live}
    return dict(sorted(cosines.items(), key=lambda item: -item[1]))


def check(found: Sequence[Match], expected: dict[int, float], count: int = PHOTOS) -> None:
    """The first `count` of what is expected, or as good, in order; each with its own cosine."""
    similarities = [match.similarity for match in found]
    assert similarities == pytest.approx(list(expected.values())[:count], abs=CLOSE)
    own = [expected[match.photo_id] for match in found]
    assert similarities == pytest.approx(own, abs=CLOSE)
    assert len({match.photo_id for match in found}) == len(found)
    assert list(found) == sorted(found, key=lambda match: (-match.similarity, match.photo_id))


photo_ids = st.sets(st.integers(1, PHOTOS))
steps = st.tuples(st.sampled_from(["upsert", "remove"]), photo_ids)
queries = st.one_of(
    st.integers(0, PHOTOS - 1).map(lambda row: VECTORS[row]),
    st.integers(0, 99).map(lambda seed: unit(np.random.default_rng(seed).normal(size=DIMENSION))),
)


def unit(vector: NDArray[Any]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return scaled


@settings(max_examples=100, deadline=None)
@given(
    history=st.lists(steps, max_size=6),
    query=queries,
    wanted=photo_ids,
    expect=st.sampled_from([1, 3, 100]),
)
def test_answers_are_those_of_brute_force(
    engine: Engine,
    history: list[tuple[str, set[int]]],
    query: NDArray[np.float32],
    wanted: set[int],
    expect: int,
) -> None:
    engine.remove(EVERY)
    live: set[int] = set()
    for step, photos in history:
        ids = array(photos)
        if step == "upsert":
            engine.upsert(ids, VECTORS[ids - 1])
            live |= photos
        else:
            engine.remove(ids)
            live -= photos

    # Some photos were never anywhere.
    asked = array(wanted | {PHOTOS + 1, PHOTOS + 2})
    assert (engine.rows, engine.exact) == (len(live), True)
    check(list(engine.matches(query, expect=expect)), ranked(query, live))
    check(list(islice(engine.matches(query, expect=expect), 3)), ranked(query, live), 3)
    check(list(engine.only(query, asked, expect=expect)), ranked(query, live & wanted))
    check(engine.among(query, asked), ranked(query, live & wanted))


def test_nobody_asked_for_is_nobody_found(engine: Engine) -> None:
    engine.upsert(EVERY, VECTORS)
    nobody = array(())

    assert list(engine.only(VECTORS[0], nobody)) == []
    assert engine.among(VECTORS[0], nobody) == []


def test_photos_that_come_twice_are_there_once(engine: Engine) -> None:
    engine.remove(EVERY)
    for _ in range(2):
        engine.upsert(EVERY[:8], VECTORS[:8])
    twice = np.repeat(EVERY[:4], 2)

    assert engine.rows == 8
    check(list(engine.matches(VECTORS[0])), ranked(VECTORS[0], set(range(1, 9))))
    check(engine.among(VECTORS[0], twice), ranked(VECTORS[0], {1, 2, 3, 4}))
    check(list(engine.only(VECTORS[0], twice)), ranked(VECTORS[0], {1, 2, 3, 4}))
