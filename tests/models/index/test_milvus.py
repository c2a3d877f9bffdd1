"""What is Milvus' own about the index; what it shares with FAISS is in `test_congruence`."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.errors import InvalidInput, SetupError, Unavailable
from models.domain.types import EncoderSpec
from tests.support.generations import DIMENSION

pytest.importorskip("pymilvus", reason="needs the extra milvus")

from pymilvus import DataType, MilvusClient

from models.index import milvus
from models.index.milvus import MilvusIndex, open_milvus
from models.index.milvus_schema import HNSW, collection_of
from tests.support.milvus import milvus_server

Draw = Callable[[int], NDArray[np.float32]]

IDS = np.arange(1, 31, dtype=np.int64)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_server(tmp_path_factory.mktemp("milvus")) as served:
        yield served


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> EncoderSpec:
    """An encoder of this test's own."""
    return EncoderSpec("test", DIMENSION, request.node.name.encode().hex()[-64:])


@pytest.fixture
def index(url: str, spec: EncoderSpec) -> Iterator[MilvusIndex]:
    opened = open_milvus(url, spec)
    yield opened
    opened.close()


def found(index: MilvusIndex, query: NDArray[np.float32], count: int = 100) -> list[int]:
    return [match.photo_id for match in islice(index.matches(query), count)]


def test_another_process_finds_what_was_stored_and_where_it_stands(
    url: str, spec: EncoderSpec, index: MilvusIndex, draw: Draw
) -> None:
    assert index.position is None
    index.upsert(IDS, draw(30))
    index.record(7)
    index.record(5)

    other = open_milvus(url, spec)

    assert (other.rows, other.position) == (30, 5)
    assert found(other, draw(30)[3], 1) == [4]


def test_everything_outlives_the_server(tmp_path: Path, spec: EncoderSpec, draw: Draw) -> None:
    with milvus_server(tmp_path) as url:
        before = open_milvus(url, spec)
        before.upsert(IDS, draw(30))
        before.remove(IDS[:2])
        before.record(3)
    with milvus_server(tmp_path) as url:
        after = open_milvus(url, spec)
        assert (after.ids().tolist(), after.position) == (IDS[2:].tolist(), 3)


def test_a_server_that_comes_back_is_used_again(
    tmp_path: Path, spec: EncoderSpec, draw: Draw
) -> None:
    with milvus_server(tmp_path) as url:
        index = open_milvus(url, spec)
        index.upsert(IDS, draw(30))
    with pytest.raises(Unavailable, match=r"^Milvus at 127\.0\.0\.1:\d+ can't be used now: .*\.$"):
        found(index, draw(30)[0])
    with milvus_server(tmp_path, port=int(url.rpartition(":")[2])):
        for _ in range(100):
            with suppress(Unavailable):
                assert open_milvus(url, spec).rows == 30
                break
            sleep(0.1)
        assert found(index, draw(30)[0], 1) == [1]


def test_who_drops_the_photos_drops_their_position(
    url: str, spec: EncoderSpec, index: MilvusIndex
) -> None:
    index.record(7)
    MilvusClient(url).drop_collection(collection_of(spec))

    with pytest.raises(Unavailable):
        _ = index.rows
    assert open_milvus(url, spec).position is None


def test_vectors_of_another_length_are_refused(
    url: str, spec: EncoderSpec, index: MilvusIndex
) -> None:
    del index
    with pytest.raises(InvalidInput, match=r"holds vectors of 16 numbers, test-.* makes 8"):
        open_milvus(url, EncoderSpec(spec.name, 8, spec.fingerprint))


def test_one_bad_vector_stores_nothing(index: MilvusIndex, draw: Draw) -> None:
    vectors = draw(30)
    vectors[29, 3] = np.nan
    with pytest.raises(InvalidInput, match="photo 30"):
        index.upsert(IDS, vectors)
    assert index.rows == 0


@pytest.mark.parametrize("wrong", [np.ones(DIMENSION), np.eye(8)[0]])
def test_a_bad_query_is_refused(index: MilvusIndex, wrong: NDArray[np.float32]) -> None:
    for ask in (index.matches, lambda q: index.only(q, IDS), lambda q: index.among(q, IDS)):
        with pytest.raises(InvalidInput, match="query"):
            ask(wrong)


def test_an_unreachable_server_is_named_without_its_password(spec: EncoderSpec) -> None:
    with pytest.raises(Unavailable, match=r"^Milvus at 127\.0\.0\.1:1 can't be used now: ") as told:
        open_milvus("http://root:secret@127.0.0.1:1", spec)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("wrong", ["redis://root:secret@localhost", "milvus", "http://"])
def test_what_is_no_milvus_is_no_setting(spec: EncoderSpec, wrong: str) -> None:
    with pytest.raises(SetupError, match="http://localhost:19530") as told:
        open_milvus(wrong, spec)
    assert "secret" not in str(told.value)


def test_a_file_is_for_one_process(tmp_path: Path, spec: EncoderSpec, draw: Draw) -> None:
    path = tmp_path / "new" / "photos.db"
    index = open_milvus(str(path), spec)
    index.upsert(IDS, draw(30))
    assert found(index, draw(30)[3], 1) == [4]
    script = (
        "from models.domain.types import EncoderSpec\n"
        "from models.domain.errors import Unavailable\n"
        "from models.index.milvus import open_milvus\n"
        "try:\n"
        f"    open_milvus({str(path)!r}, EncoderSpec('test', 16, 'f'))\n"
        "except Unavailable as error:\n"
        "    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert f"Milvus at {path} can't be used now" in told.stdout


def test_much_is_sent_and_fetched_in_parts(
    index: MilvusIndex, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus, "ROWS_PER_CALL", 7)
    monkeypatch.setattr(milvus, "IDS_PER_CALL", 8)
    index.upsert(IDS, draw(30))
    assert index.ids().tolist() == IDS.tolist()
    assert [match.photo_id for match in index.among(draw(30)[3], IDS)] == found(index, draw(30)[3])
    index.remove(IDS[:17])
    assert index.ids().tolist() == IDS[17:].tolist()


def test_matches_end_where_milvus_does(
    index: MilvusIndex, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.upsert(IDS, draw(30))
    everything = found(index, draw(30)[3])
    monkeypatch.setattr(milvus, "MAX_MATCHES", 20)
    assert [match.photo_id for match in index.matches(draw(30)[3], expect=6)] == everything[:20]


def create(url: str, spec: EncoderSpec) -> MilvusClient:
    """Make a collection by hand, and no more."""
    client = MilvusClient(url)
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection(collection_of(spec), schema=schema)
    return client


def test_a_half_made_collection_is_finished(url: str, spec: EncoderSpec, draw: Draw) -> None:
    create(url, spec)
    index = open_milvus(url, spec)
    index.upsert(IDS, draw(30))
    assert (index.rows, index.position, index.exact) == (30, None, True)


def test_a_graph_is_not_called_exact(url: str, spec: EncoderSpec, draw: Draw) -> None:
    client = create(url, spec)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", metric_type="IP", **HNSW)
    client.create_index(collection_of(spec), indexes)

    index = open_milvus(url, spec)
    index.upsert(IDS, draw(30))
    index.flush()

    assert not index.exact
    assert found(index, draw(30)[3], 1) == [4]
    assert next(index.only(draw(30)[3], IDS[5:9])).photo_id in IDS[5:9]
    assert len(index.among(draw(30)[3], IDS)) == 30
