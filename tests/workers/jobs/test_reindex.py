"""A new generation replaces the old one whole, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.tables import Generation
from db.vectors import generations
from models.domain.errors import Conflict, Unavailable
from models.domain.types import GenerationStatus, JobStatus, JobType
from models.index import build, recall
from models.index.plan import EXACT
from tests.support.holding import holding_open
from tests.workers.conftest import Workshop
from tests.workers.jobs.test_search import listed
from workers import tasks
from workers.indexes.live import LiveIndex
from workers.jobs import reindex
from workers.tasks import run_job


def all_generations(workshop: Workshop) -> list[Generation]:
    with workshop.database.read() as session:
        return list(generations.all_generations(session, 100))


def folders(workshop: Workshop) -> set[str]:
    return {path.name for path in workshop.runtime.config.generations_dir.iterdir()}


def test_generation_is_built_measured_and_served(workshop: Workshop) -> None:
    ids = [listed(workshop, seed) for seed in range(6)]
    job = workshop.reindex()
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    assert job.result
    assert (job.result["rows"], job.result["recall_at_10"]) == (6, 1.0)
    assert workshop.search(3)[0] == ids[3]
    assert workshop.index.generation_id == job.result["generation"]
    assert workshop.index.index.fresh_count == 0
    after = listed(workshop, 50)
    assert workshop.search(50)[0] == after
    assert workshop.index.index.fresh_count == 1


def test_old_generations_are_kept_for_rollback_then_removed(workshop: Workshop) -> None:
    listed(workshop, 1)
    for _ in range(3):
        workshop.reindex()
    rows = all_generations(workshop)
    assert [row.status for row in rows] == [
        GenerationStatus.LIVE,
        GenerationStatus.RETIRED,
        GenerationStatus.REMOVED,
    ]
    assert folders(workshop) == {str(row.id) for row in rows[:2]}


def test_rollback_serves_the_older_generation_with_every_change_since(workshop: Workshop) -> None:
    first = listed(workshop, 1)
    workshop.reindex()
    second = listed(workshop, 2)
    workshop.reindex()
    assert workshop.search(2) == [second, first]
    newer, older = all_generations(workshop)
    with workshop.database.write() as session:
        generations.switch_to(session, older.id, workshop.now())
    assert workshop.search(2) == [second, first]
    assert workshop.index.generation_id == older.id
    statuses = {row.id: row.status for row in all_generations(workshop)}
    assert statuses[newer.id] is GenerationStatus.RETIRED


def test_a_removed_generation_can_not_come_back(workshop: Workshop) -> None:
    listed(workshop, 1)
    for _ in range(3):
        workshop.reindex()
    removed = all_generations(workshop)[-1]
    with pytest.raises(Conflict), workshop.database.write() as session:
        generations.switch_to(session, removed.id, workshop.now())


def test_a_damaged_generation_is_refused_and_the_one_before_it_serves(workshop: Workshop) -> None:
    first = listed(workshop, 1)
    workshop.reindex()
    assert workshop.search(1) == [first]
    older = workshop.index.generation_id
    second = listed(workshop, 2)
    job = workshop.reindex()
    assert job.result
    flip_a_byte(workshop.runtime.config.generations_dir / str(job.result["generation"]))
    assert workshop.search(2) == [second, first]
    assert workshop.index.generation_id == older


def test_a_worker_that_starts_on_a_damaged_generation_takes_the_one_before(
    workshop: Workshop,
) -> None:
    listed(workshop, 1)
    older, newer = workshop.reindex().result, workshop.reindex().result
    assert older
    assert newer
    flip_a_byte(workshop.runtime.config.generations_dir / str(newer["generation"]))
    config = workshop.runtime.config
    spec = workshop.encoder.spec
    started = LiveIndex(spec, workshop.encoder_id, config.generations_dir)
    with workshop.database.read() as session:
        started.sync(session)
    assert started.generation_id == older["generation"]
    assert started.index.rows == 1


def flip_a_byte(folder: Path) -> None:
    path = folder / "index.faiss"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_under_its_recall_target_it_is_refused(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job asks for two bits a vector: too few, where few candidates are looked at."""
    monkeypatch.setattr(recall, "CANDIDATES", (10,))
    for seed in range(40):
        listed(workshop, seed)
    first = workshop.reindex()
    assert first.result
    job = workshop.do(JobType.REINDEX, {"factory": "IVF1,PQ1x2", "recall_target": 1.0})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "recall_too_low")
    refused, live = all_generations(workshop)
    assert (refused.status, live.status) == (GenerationStatus.REFUSED, GenerationStatus.LIVE)
    assert refused.error == job.error_detail
    assert folders(workshop) == {str(first.result["generation"])}
    # What is good enough for the job is.
    job = workshop.do(JobType.REINDEX, {"factory": "IVF1,PQ1x2", "recall_target": 0.01})
    assert job.result
    assert job.result["factory"] == "IVF1,PQ1x2"
    assert job.result["recall_at_10"] < 1


def test_the_result_says_how_and_why_it_was_built(workshop: Workshop) -> None:
    listed(workshop, 1)
    result = workshop.reindex().result
    assert result
    assert result["factory"] in {EXACT, *result["why"].split()}
    assert "1 vectors" in result["why"]
    assert (result["effort"], result["candidates"], result["queries"]) == (0, 0, 0)
    assert result["p50_ms"] <= result["p95_ms"]


def test_a_generation_that_is_open_elsewhere_is_removed_by_a_later_build(
    workshop: Workshop,
) -> None:
    listed(workshop, 1)
    first = workshop.reindex().result
    assert first
    name = str(first["generation"])
    with holding_open(workshop.runtime.config.generations_dir / name):
        for _ in range(2):
            assert workshop.reindex().status is JobStatus.SUCCEEDED
        assert all_generations(workshop)[-1].status is GenerationStatus.REMOVED
        assert name in folders(workshop)
    workshop.reindex()
    assert name not in folders(workshop)


def test_what_a_killed_build_left_is_cleared(workshop: Workshop) -> None:
    listed(workshop, 1)
    job_id = workshop.accept(JobType.REINDEX, {})
    with workshop.database.write() as session:
        dead = generations.begin(session, workshop.encoder_id, job_id, workshop.now()).id
    whole = workshop.runtime.config.generations_dir / str(dead)
    whole.mkdir(parents=True)
    (whole / "index.faiss").write_bytes(b"built, but never switched to")
    make_half(whole)
    run_job(workshop.runtime, job_id)
    assert workshop.job(job_id).status is JobStatus.SUCCEEDED
    rows = {row.id: row.status for row in all_generations(workshop)}
    assert rows[dead] is GenerationStatus.FAILED
    assert folders(workshop) == {str(dead + 1)}


def test_builds_that_are_killed_one_after_the_other_do_not_fill_the_disk(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(workshop, 1)

    class Killed(BaseException):
        pass

    def killed(target: Path, *_: Any, **__: Any) -> Any:
        make_half(target)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(reindex, "build_generation", killed)
        job_id = workshop.accept(JobType.REINDEX, {})
        for _ in range(3):
            claim = workshop.claim(job_id)
            with pytest.raises(Killed):
                tasks._attempt(workshop.runtime, claim, None)
            assert len(folders(workshop)) == 1
            with workshop.database.write() as session:
                jobs.hand_back(session, claim, workshop.now())
    run_job(workshop.runtime, job_id)
    assert folders(workshop) == {str(all_generations(workshop)[0].id)}


def make_half(target: Path) -> None:
    half = target.with_name(f".{target.name}.4711-0123abcd")
    half.mkdir(parents=True)
    (half / "vectors.f16").write_bytes(b"half")


def test_a_cancelled_build_leaves_the_live_one(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(workshop, 1)
    first = workshop.reindex()
    assert first.result
    job_id = workshop.accept(JobType.REINDEX, {})

    def cancelled_meanwhile(*arguments: Any, **options: Any) -> Any:
        built = build.build_generation(*arguments, **options)
        with workshop.database.write() as session:
            jobs.cancel(session, job_id, workshop.now())
        return built

    monkeypatch.setattr(reindex, "build_generation", cancelled_meanwhile)
    run_job(workshop.runtime, job_id)
    assert workshop.job(job_id).status is JobStatus.CANCELLED
    assert [row.status for row in all_generations(workshop)] == [
        GenerationStatus.FAILED,
        GenerationStatus.LIVE,
    ]
    assert folders(workshop) == {str(first.result["generation"])}


def test_a_switch_whose_acknowledgement_is_lost_stays(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing_id = listed(workshop, 1)
    switch = reindex._switch

    def committed_but_not_heard_of(*arguments: Any) -> None:
        switch(*arguments)
        raise Unavailable("The connection is gone.")

    monkeypatch.setattr(reindex, "_switch", committed_but_not_heard_of)
    job = workshop.reindex()
    assert job.status is JobStatus.SUCCEEDED
    assert workshop.search(1) == [listing_id]
    assert workshop.index.generation_id == all_generations(workshop)[0].id


def test_an_empty_catalogue_can_be_indexed(workshop: Workshop) -> None:
    assert workshop.reindex().status is JobStatus.SUCCEEDED
    listing_id = listed(workshop, 1)
    assert workshop.search(1) == [listing_id]
