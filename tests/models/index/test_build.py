import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.errors import Conflict, InvalidInput, RecallTooLow
from models.domain.types import EncoderSpec
from models.index.build import BuiltGeneration, build_generation, remove_generation
from models.index.generation import Generation, open_generation
from models.index.plan import IndexPlan
from models.index.recall import HeldOutQuery, OperatingPoint, tune
from models.index.rows import Rows

Build = Callable[..., BuiltGeneration]
Draw = Callable[[int], NDArray[np.float32]]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "generations" / "1"


def test_says_what_it_built(target: Path, build: Build, draw: Draw, encoder: EncoderSpec) -> None:
    manifest = build(target, range(20), draw(20), last_change=41).manifest

    assert (manifest.rows, manifest.last_change, manifest.dimension) == (20, 41, 16)
    assert (manifest.encoder, manifest.fingerprint) == (encoder.name, encoder.fingerprint)
    assert (manifest.factory, manifest.recall_at_10) == ("SQfp16", 1.0)
    assert manifest.created_at == "2025-01-02T03:04:05+00:00"
    assert 0 < manifest.p50_ms <= manifest.p95_ms
    assert (manifest.effort, manifest.candidates, manifest.queries) == (0, 0, 20)
    sizes = {path.name: path.stat().st_size for path in target.iterdir()}
    assert sizes.keys() == {"index.faiss", "ids.npy", "manifest.json"}
    assert manifest.bytes == sizes["index.faiss"] + sizes["ids.npy"]
    assert [path.name for path in target.parent.iterdir()] == ["1"]


def test_rows_that_do_not_ascend_are_refused(target: Path, build: Build, draw: Draw) -> None:
    with pytest.raises(InvalidInput, match="Photo 8 comes twice or out of order"):
        build(target, range(9, -1, -1), draw(10))

    assert not list(target.parent.iterdir())


def test_the_seed_settles_what_a_trained_index_learns_from(
    target: Path, build: Build, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.index.faiss_index.PCA_TRAINING_ROWS", 50)
    lossy = {"factory": "PCA8,SQ4", "recall_target": 0.1}
    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        build(target.with_name(name), range(300), draw(300), seed=seed, **lossy)

    first, second, third = (
        (target.with_name(name) / "index.faiss").read_bytes() for name in ("1", "2", "3")
    )
    assert first == second
    assert first != third


def test_an_index_under_the_recall_target_is_refused(
    target: Path, build: Build, draw: Draw
) -> None:
    said = r"Recall@10 is 0\.\d+ with PCA2,SQ4, under the target of 1\.0, .* SQfp16, meets any"
    with pytest.raises(RecallTooLow, match=said):
        build(target, range(3000), draw(3000), factory="PCA2,SQ4", recall_target=1.0)

    assert not list(target.parent.iterdir())


def test_a_lossy_index_over_its_target_tells_its_recall(
    target: Path, build: Build, draw: Draw
) -> None:
    manifest = build(
        target, range(3000), draw(3000), factory="PCA2,SQ4", recall_target=0.1
    ).manifest

    assert 0.1 <= manifest.recall_at_10 < 1.0
    assert manifest.files.keys() == {"index.faiss", "ids.npy", "vectors.f16"}


def test_lists_are_read_as_many_as_the_target_needs(target: Path, build: Build, draw: Draw) -> None:
    some = build(target, range(3000), draw(3000), factory="IVF64,SQ8", recall_target=0.6).manifest
    more = build(
        target.with_name("2"), range(3000), draw(3000), factory="IVF64,SQ8", recall_target=0.95
    ).manifest

    assert 1 <= some.effort < more.effort <= 64
    assert some.recall_at_10 >= 0.6
    assert more.recall_at_10 >= 0.95


@pytest.mark.parametrize("target_recall", [0.7, 0.9])
def test_an_index_that_was_tuned_to_too_little_is_tuned_to_more(
    target: Path,
    build: Build,
    draw: Draw,
    monkeypatch: pytest.MonkeyPatch,
    target_recall: float,
) -> None:
    """As if the queries that it is tuned on were easier than those that it is measured on."""

    def optimistic(
        rows: Rows,
        index: faiss.Index,
        plan: IndexPlan,
        queries: Sequence[HeldOutQuery],
        wanted: float,
        beat: Callable[[], None],
    ) -> OperatingPoint:
        point = tune(rows, index, plan, queries, wanted - 0.2, beat)
        return point._replace(recall_at_10=point.recall_at_10 + 0.2)

    monkeypatch.setattr("models.index.build.tune", optimistic)
    manifest = build(
        target, range(3000), draw(3000), factory="IVF64,SQ8", recall_target=target_recall
    ).manifest

    assert manifest.recall_at_10 >= target_recall
    assert manifest.effort < 64


@pytest.mark.parametrize("factory", ["nonsense", "IVF4096,SQ8", "IVF4096,PQ64x4fs"])
def test_a_factory_that_can_not_be_built_is_refused(
    target: Path, build: Build, draw: Draw, factory: str
) -> None:
    with pytest.raises(InvalidInput, match=factory):
        build(target, range(30), draw(30), factory=factory)

    assert not list(target.parent.iterdir())


def test_equal_photos_cost_no_recall(target: Path, build: Build, draw: Draw) -> None:
    manifest = build(target, range(60), np.repeat(draw(2), 30, axis=0)).manifest

    assert manifest.recall_at_10 == 1.0


@pytest.mark.parametrize("factory", [None, "IVF64,SQ4"])
def test_no_rows_make_a_good_generation(
    generation_of: Callable[..., Generation], draw: Draw, factory: str | None
) -> None:
    generation = generation_of([], draw(0), factory=factory)

    assert (generation.manifest.rows, generation.manifest.recall_at_10) == (0, 1.0)
    assert generation.searcher.best(draw(1)[0], 5).ids.tolist() == []


def test_batches_may_be_empty(target: Path, draw: Draw, encoder: EncoderSpec) -> None:
    rows = (np.arange(3, dtype=np.int64), draw(3))
    nothing = (np.empty(0, np.int64), draw(0))

    built = build_generation(
        target,
        [nothing, rows, nothing],
        encoder=encoder,
        last_change=0,
        created_at=datetime(2025, 1, 2, tzinfo=UTC),
        recall_target=1.0,
    )

    assert built.manifest.rows == 3


def test_a_photo_that_comes_twice_is_refused(target: Path, build: Build, draw: Draw) -> None:
    with pytest.raises(InvalidInput, match="Photo 3 comes twice"):
        build(target, [1, 2, 3, 3, 5, 6, 7, 8, 9], draw(9))

    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("number", [np.nan, np.inf, 2.0])
def test_a_vector_that_is_no_unit_vector_is_refused(
    target: Path, build: Build, draw: Draw, number: float
) -> None:
    vectors = draw(4)
    vectors[2, 5] = number

    with pytest.raises(InvalidInput, match="photo 12"):
        build(target, [10, 11, 12, 13], vectors)


def test_vectors_of_another_length_are_refused(target: Path, build: Build, draw: Draw) -> None:
    with pytest.raises(InvalidInput, match="16 numbers"):
        build(target, range(4), draw(4)[:, :8])


def test_a_generation_is_never_written_over(target: Path, build: Build, draw: Draw) -> None:
    build(target, range(5), draw(5))
    before = (target / "manifest.json").read_bytes()

    beats: list[int] = []
    with pytest.raises(Conflict):
        build(target, range(6), draw(6), heartbeat=beats.append)

    assert not beats  # refused before any work

    assert (target / "manifest.json").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd")
def test_everything_is_on_the_disk_before_the_build_returns(
    target: Path, build: Build, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    sizes: dict[str, int] = {}
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        synced.append((name, target.exists()))
        sizes[name] = os.fstat(descriptor).st_size
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    build(target, range(5), draw(5))

    names = [name for name, _ in synced]
    assert names[:-2] == [
        target.parent.parent.name,
        "vectors.f16",
        "ids.npy",
        "index.faiss",
        "manifest.json",
    ]
    assert names[-2].startswith(".1.")
    assert synced[-1] == ("generations", True)
    assert not any(published for _, published in synced[:-1])
    assert all(path.stat().st_size == sizes[path.name] for path in target.iterdir())


def test_of_two_builds_at_once_one_wins_whole(
    target: Path, build: Build, draw: Draw, encoder: EncoderSpec
) -> None:
    """The second starts when the first, thought dead, has but its last step to do."""
    second: list[BuiltGeneration] = []

    def start_second(rows: int) -> None:
        if rows == 5 and not second and list(target.parent.glob(".*/manifest.json")):
            second.append(build(target, range(9), draw(9)))

    with pytest.raises(Conflict):
        build(target, range(5), draw(5), heartbeat=start_second)

    opened = open_generation(target, second[0].manifest_sha256, fingerprint=encoder.fingerprint)
    assert opened.manifest.rows == 9


def test_the_heartbeat_counts_the_rows_and_goes_on_beating(
    target: Path, build: Build, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.index.rows.BLOCK_BYTES", 1)
    beats: list[int] = []

    build(target, range(20), draw(20), heartbeat=beats.append)

    assert beats[:3] == [7, 14, 20]
    assert set(beats[3:]) == {20}
    # After each block that is searched exactly, and each measured query.
    assert len(beats[3:]) >= 2 * 20


def test_removes_a_generation_and_nothing_else(target: Path, build: Build, draw: Draw) -> None:
    for name in ("1", "1.5", "2"):
        build(target.with_name(name), range(5), draw(5))
    of_another = target.with_name(".1.5.123-0123abcd")
    of_this = target.with_name(".1.123-0123abcd")
    for leftover in (of_another, of_this):
        leftover.mkdir()
        (leftover / "index.faiss").write_bytes(b"half")

    remove_generation(target)
    remove_generation(target)

    assert {path.name for path in target.parent.iterdir()} == {"1.5", "2", of_another.name}


def test_removing_from_a_place_that_never_was_is_fine(tmp_path: Path) -> None:
    remove_generation(tmp_path / "nowhere" / "1")

    assert not list(tmp_path.iterdir())
