"""A new generation replaces the old one whole, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from db.jobs import attempts, cancelling
from db.vectors import generations
from models.domain.errors import Conflict, Unavailable
from models.domain.job_results.indexes import BuiltIndex
from models.domain.types import GenerationStatus, JobStatus, JobType
from models.index import build, recall
from models.index.plan import EXACT
from tests.support.holding import holding_open
from tests.support.payloads import result_as
from tests.support.workers import WorkerHarness
from workers.indexes.live import LiveIndex
from workers.jobs import reindex
from workers.jobs.dispatch import do_job
from workers.tasks import run_job


def folders(worker: WorkerHarness) -> set[str]:
    return {path.name for path in worker.runtime.config.index.generations_dir.iterdir()}


def test_generation_is_built_measured_and_served(worker: WorkerHarness) -> None:
    ids = [worker.list_pictures(seed) for seed in range(6)]
    job = worker.reindex()
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    assert job.result
    assert (job.result["rows"], job.result["recall_at_10"]) == (6, 1.0)
    assert worker.search(3)[0] == ids[3]
    assert worker.index.generation_id == job.result["generation"]
    assert worker.index.index.fresh_count == 0
    after = worker.list_pictures(50)
    assert worker.search(50)[0] == after
    assert worker.index.index.fresh_count == 1


def test_old_generations_are_kept_for_rollback_then_removed(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    for _ in range(3):
        worker.reindex()
    rows = worker.generations()
    assert [row.status for row in rows] == [
        GenerationStatus.LIVE,
        GenerationStatus.RETIRED,
        GenerationStatus.REMOVED,
    ]
    assert folders(worker) == {str(row.id) for row in rows[:2]}


def test_rollback_serves_the_older_generation_with_every_change_since(
    worker: WorkerHarness,
) -> None:
    first = worker.list_pictures(1)
    worker.reindex()
    second = worker.list_pictures(2)
    worker.reindex()
    assert worker.search(2) == [second, first]
    newer, older = worker.generations()
    with worker.database.write() as session:
        generations.switch_to(session, older.id, worker.now())
    assert worker.search(2) == [second, first]
    assert worker.index.generation_id == older.id
    statuses = {row.id: row.status for row in worker.generations()}
    assert statuses[newer.id] is GenerationStatus.RETIRED


def test_a_removed_generation_can_not_come_back(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    for _ in range(3):
        worker.reindex()
    removed = worker.generations()[-1]
    with pytest.raises(Conflict), worker.database.write() as session:
        generations.switch_to(session, removed.id, worker.now())


def test_a_damaged_generation_is_refused_and_the_one_before_it_serves(
    worker: WorkerHarness,
) -> None:
    first = worker.list_pictures(1)
    worker.reindex()
    assert worker.search(1) == [first]
    older = worker.index.generation_id
    second = worker.list_pictures(2)
    job = worker.reindex()
    assert job.result
    flip_a_byte(worker.runtime.config.index.generations_dir / str(job.result["generation"]))
    assert worker.search(2) == [second, first]
    assert worker.index.generation_id == older


def test_a_worker_that_starts_on_a_damaged_generation_takes_the_one_before(
    worker: WorkerHarness,
) -> None:
    worker.list_pictures(1)
    older, newer = worker.reindex().result, worker.reindex().result
    assert older
    assert newer
    flip_a_byte(worker.runtime.config.index.generations_dir / str(newer["generation"]))
    config = worker.runtime.config
    spec = worker.encoder.spec
    started = LiveIndex(spec, worker.encoder_id, config.index.generations_dir)
    with worker.database.read() as session:
        started.sync(session)
    assert started.generation_id == older["generation"]
    assert started.index.rows == 1


def flip_a_byte(folder: Path) -> None:
    path = folder / "index.faiss"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_under_its_recall_target_it_is_refused(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job asks for two bits a vector: too few, where few candidates are looked at."""
    monkeypatch.setattr(recall, "CANDIDATES", (10,))
    for seed in range(40):
        worker.list_pictures(seed)
    first = worker.reindex()
    assert first.result
    job = worker.do(JobType.REINDEX, {"factory": "IVF1,PQ1x2", "recall_target": 1.0})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "recall_too_low")
    refused, live = worker.generations()
    assert (refused.status, live.status) == (GenerationStatus.REFUSED, GenerationStatus.LIVE)
    assert refused.error == job.error_detail
    assert folders(worker) == {str(first.result["generation"])}
    # What is good enough for the job is.
    job = worker.do(JobType.REINDEX, {"factory": "IVF1,PQ1x2", "recall_target": 0.01})
    built = result_as(job, BuiltIndex)
    assert built.factory == "IVF1,PQ1x2"
    assert built.recall_at_10 < 1


def test_the_result_says_how_and_why_it_was_built(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    result = result_as(worker.reindex(), BuiltIndex)
    assert result.factory in {EXACT, *result.why.split()}
    assert "1 vectors" in result.why
    assert (result.effort, result.candidates, result.queries) == (0, 0, 0)
    assert result.p50_ms <= (result.p95_ms or 0)


def test_a_generation_that_is_open_elsewhere_is_removed_by_a_later_build(
    worker: WorkerHarness,
) -> None:
    worker.list_pictures(1)
    first = worker.reindex().result
    assert first
    name = str(first["generation"])
    with holding_open(worker.runtime.config.index.generations_dir / name):
        for _ in range(2):
            assert worker.reindex().status is JobStatus.SUCCEEDED
        assert worker.generations()[-1].status is GenerationStatus.REMOVED
        assert name in folders(worker)
    worker.reindex()
    assert name not in folders(worker)


def test_what_a_killed_build_left_is_cleared(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    job_id = worker.accept(JobType.REINDEX, {})
    with worker.database.write() as session:
        dead = generations.begin(session, worker.encoder_id, job_id, worker.now()).id
    whole = worker.runtime.config.index.generations_dir / str(dead)
    whole.mkdir(parents=True)
    (whole / "index.faiss").write_bytes(b"built, but never switched to")
    make_half(whole)
    run_job(worker.runtime, job_id)
    assert worker.job(job_id).status is JobStatus.SUCCEEDED
    rows = {row.id: row.status for row in worker.generations()}
    assert rows[dead] is GenerationStatus.FAILED
    assert folders(worker) == {str(dead + 1)}


def test_builds_that_are_killed_one_after_the_other_do_not_fill_the_disk(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.list_pictures(1)

    class Killed(BaseException):
        pass

    def killed(target: Path, *_: Any, **__: Any) -> Any:
        make_half(target)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(reindex, "build_generation", killed)
        job_id = worker.accept(JobType.REINDEX, {})
        for _ in range(3):
            claim = worker.claim(job_id)
            with pytest.raises(Killed):
                do_job(worker.runtime, claim, run_job)
            assert len(folders(worker)) == 1
            with worker.database.write() as session:
                attempts.hand_back(session, claim, worker.now())
    run_job(worker.runtime, job_id)
    assert folders(worker) == {str(worker.generations()[0].id)}


def make_half(target: Path) -> None:
    half = target.with_name(f".{target.name}.4711-0123abcd")
    half.mkdir(parents=True)
    (half / "vectors.f16").write_bytes(b"half")


def test_a_cancelled_build_leaves_the_live_one(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.list_pictures(1)
    first = worker.reindex()
    assert first.result
    job_id = worker.accept(JobType.REINDEX, {})

    def cancelled_meanwhile(*arguments: Any, **options: Any) -> Any:
        built = build.build_generation(*arguments, **options)
        with worker.database.write() as session:
            cancelling.cancel(session, job_id, worker.now())
        return built

    monkeypatch.setattr(reindex, "build_generation", cancelled_meanwhile)
    run_job(worker.runtime, job_id)
    assert worker.job(job_id).status is JobStatus.CANCELLED
    assert [row.status for row in worker.generations()] == [
        GenerationStatus.FAILED,
        GenerationStatus.LIVE,
    ]
    assert folders(worker) == {str(first.result["generation"])}


def test_a_switch_whose_acknowledgement_is_lost_stays(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing_id = worker.list_pictures(1)
    switch = reindex._make_live

    def committed_but_not_heard_of(*arguments: Any) -> None:
        switch(*arguments)
        raise Unavailable("The connection is gone.")

    monkeypatch.setattr(reindex, "_make_live", committed_but_not_heard_of)
    job = worker.reindex()
    assert job.status is JobStatus.SUCCEEDED
    assert worker.search(1) == [listing_id]
    assert worker.index.generation_id == worker.generations()[0].id


def test_an_empty_catalogue_can_be_indexed(worker: WorkerHarness) -> None:
    assert worker.reindex().status is JobStatus.SUCCEEDED
    listing_id = worker.list_pictures(1)
    assert worker.search(1) == [listing_id]
