"""What is told of attempts at jobs: counts, lines of log with ids, and which were slow and why."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from db.jobs import accepting, reading
from db.tables import Job
from models.domain.job_payloads import parse_payload
from models.domain.types import JobStatus, JobType
from models.photo_decoding import standardise
from observability import context
from tests.support.observing import counted, counted_in, logged
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until
from tests.support.workers import WorkerHarness
from workers.queue.messages import Queue
from workers.tasks import answer_probe, run_job


@pytest.fixture(autouse=True)
def counts(tmp_path: Path) -> Iterator[Path]:
    with counted_in(tmp_path / "counts", "search"):
        yield tmp_path / "counts"


def slow_after(worker: WorkerHarness, seconds: float) -> None:
    config = replace(worker.runtime.config, slow_job_s=seconds)
    worker.runtime = replace(worker.runtime, config=config)


def accept_search(worker: WorkerHarness, seed: int, request_id: str) -> UUID:
    sha256 = worker.runtime.store.put(standardise(jpeg(seed)).data)
    payload = parse_payload(JobType.SEARCH, {"photo": sha256, "limit": 3})

    def accept() -> Job:
        with (
            context.of_job(uuid4(), request_id, None),
            worker.database.write() as session,
        ):
            return accepting.accept(session, payload, job_id=uuid4(), now=worker.now())

    return accept().id


def test_jobs_are_counted_by_type_outcome_and_stage(worker: WorkerHarness, counts: Path) -> None:
    worker.list_pictures(1, 2)
    worker.search(1)
    worker.search(3)
    missing = worker.do(JobType.SEARCH, {"photo": "0" * 64, "limit": 3})
    assert missing.status is not JobStatus.SUCCEEDED

    assert counted("jobs_ended_total", counts, type="embed", outcome="succeeded") == 1
    assert counted("jobs_ended_total", counts, type="search", outcome="succeeded") == 2
    assert counted("job_seconds_count", counts, type="embed") == 1
    for stage in ("queue", "read", "embed", "store"):
        assert counted("job_stage_seconds_count", counts, type="embed", stage=stage) == 1
    for stage in ("queue", "decode", "embed", "sync", "search", "rank"):
        assert counted("job_stage_seconds_count", counts, type="search", stage=stage) == 2
    assert counted("photos_embedded_total", counts, purpose="listing") == 2
    # The photo of the first search is that of a listing, whose vector is stored.
    assert counted("photos_embedded_total", counts, purpose="query") == 1
    assert counted("queries_together_count", counts) == 3


def test_an_attempt_that_will_be_repeated_is_told_from_the_last(
    worker: WorkerHarness, counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("workers.jobs.dispatch.run_embed", broken)
    _, photo_ids = worker.list_photos(jpeg(1))
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    for _ in range(worker.runtime.config.max_attempts):
        run_job(worker.runtime, job_id)
    assert worker.job(job_id).status is JobStatus.FAILED
    assert counted("jobs_ended_total", counts, type="embed", outcome="retried") == 2
    assert counted("jobs_ended_total", counts, type="embed", outcome="failed") == 1


def test_the_ids_of_request_and_job_are_in_the_workers_lines(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    first = accept_search(worker, 1, "of-a-caller")
    second = accept_search(worker, 2, "of-another")
    with logged() as told:
        run_job(worker.runtime, first)
    done = {line["job_id"]: line["request_id"] for line in told.lines if "job_id" in line}
    assert done == {str(first): "of-a-caller", str(second): "of-another"}


def test_what_a_job_accepts_has_the_id_of_its_request(worker: WorkerHarness) -> None:
    with context.of_job(uuid4(), "of-a-caller", None):
        _, photo_ids = worker.list_photos(jpeg(1))
        job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    with worker.database.read() as session:
        assert reading.get(session, job_id).request_id == "of-a-caller"
    assert worker.claim(job_id).request_id == "of-a-caller"


def test_a_slow_query_is_explained_in_one_line(worker: WorkerHarness, counts: Path) -> None:
    worker.list_pictures(1)
    slow_after(worker, 1e-6)
    with logged() as told:
        worker.search(1)
    (line,) = [line for line in told.lines if ": slow " in line["event"]]
    assert line["level"] == "warning"
    assert {"queue", "embed", "search", "total"} <= set(line["took_ms"])
    for stage in line["took_ms"]:
        assert f"{stage} " in line["event"]
    assert counted("slow_jobs_total", counts, type="search") == 1


@pytest.mark.parametrize("job_type", [JobType.SEARCH, JobType.EMBED])
def test_what_is_not_slow_is_not_explained(
    worker: WorkerHarness, counts: Path, job_type: JobType
) -> None:
    slow_after(worker, 1e6)
    with logged() as told:
        worker.list_pictures(1)
        worker.search(1)
    assert not [line for line in told.lines if ": slow " in line["event"]]
    assert counted("slow_jobs_total", counts, type=job_type) == 0


def test_a_long_job_of_the_whole_catalogue_is_not_slow(worker: WorkerHarness, counts: Path) -> None:
    worker.list_pictures(1, 2)
    slow_after(worker, 1e-6)
    assert worker.reindex().status is JobStatus.SUCCEEDED
    assert counted("slow_jobs_total", counts, type="reindex") == 0
    for stage in ("prepare", "build", "publish", "activate", "prune"):
        assert counted("job_stage_seconds_count", counts, type="reindex", stage=stage) == 1


def test_the_index_is_told_of_at_each_probe(worker: WorkerHarness, counts: Path) -> None:
    worker.list_pictures(1, 2, 3)
    worker.reindex()
    gone = worker.list_pictures(4)
    wait_until(lambda: worker.index.generation_id is not None or bool(worker.search(1)))
    answer_probe(worker.runtime, Queue.SEARCH)
    assert counted("index_rows", counts) == 4
    assert counted("index_fresh_rows", counts) == 1
    assert counted("index_generation", counts) == worker.generations()[0].id
    worker.delete(gone)
    answer_probe(worker.runtime, Queue.SEARCH)
    assert counted("index_rows", counts) == 3
