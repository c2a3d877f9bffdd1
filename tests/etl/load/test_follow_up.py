import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console
from sqlalchemy import select

from db.jobs import attempts
from db.session import Database
from db.tables import Job
from db.vectors import generations
from etl.load.follow_up import Outcome, embed_and_index
from models.domain.types import EncoderSpec, JobStatus, JobType
from progress import Bars
from tests.support.embedding import claim_queued, embed_all, known
from tests.support.feeds import simple_feed
from tests.support.payloads import NOTHING_EMBEDDED
from tests.support.seeding import RunSeed
from workers.generations.request import accept_reindex
from workers.queue.executors import InlineExecutor, QueueExecutor
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher

Clock = Callable[[], datetime]
RunAll = Callable[..., Any]


class Workers(Bars):
    """Bars that do the work they are asked to show, and so make progress."""

    def __init__(self, database: Database, encoder: EncoderSpec, clock: Clock) -> None:
        self.said = io.StringIO()
        super().__init__(Console(file=self.said, width=200))
        self.shown: dict[str, tuple[int, int]] = {}
        self.fail: JobType | None = None
        self._database = database
        self._encoder = encoder
        self._clock = clock

    def show(self, name: str, done: int, total: int, *, in_bytes: bool = False) -> None:
        super().show(name, done, total, in_bytes=in_bytes)
        self.shown[name] = (done, total)
        match name:
            case "embedding" if self.fail is JobType.EMBED:
                self._fail(JobType.EMBED)
            case "embedding":
                embed_all(self._database, self._encoder, self._clock())
            case "index" if self.fail is JobType.REINDEX:
                self._fail(JobType.REINDEX)
            case "index":
                self._build()

    def _fail(self, job_type: JobType) -> None:
        with self._database.write() as session:
            for claim in claim_queued(session, job_type, self._clock()):
                attempts.fail(
                    session, claim, self._clock(), code="broken", detail="the disk is full"
                )

    def _build(self) -> None:
        now = self._clock()
        with self._database.write() as session:
            encoder_id = known(session, self._encoder, now)
            for claim in claim_queued(session, JobType.REINDEX, now):
                generation = generations.begin(session, encoder_id, claim.job_id, now)
                generations.activate(session, generation.id, now)
                attempts.finish(session, claim, now, result=NOTHING_EMBEDDED)


@pytest.fixture
def workers(database: Database, encoder: EncoderSpec, clock: Clock) -> Workers:
    return Workers(database, encoder, clock)


@dataclass(frozen=True, slots=True)
class Ran:
    """A seed, and what came of its photos."""

    queued: int
    embedded: int
    problems: list[str]


@pytest.fixture
def run(
    database: Database,
    publisher: JobPublisher,
    clock: Clock,
    workers: Workers,
    run_seed: RunSeed,
) -> RunAll:
    """Runs a seed to its end."""

    def run(folder: Path, *, wait: bool = True, reindex: bool = True) -> Ran:
        seeded = run_seed(folder, database)
        outcome = Outcome()
        if wait:
            outcome = embed_and_index(
                database,
                QueueExecutor(database, publisher, clock, workers.say),
                seeded.jobs,
                reindex=reindex,
                bars=workers,
                clock=clock,
                new_id=uuid4,
            )
        return Ran(seeded.loaded.queued, outcome.embedded, outcome.problems)

    return run


def reindexes(database: Database) -> list[JobStatus]:
    with database.read() as session:
        return list(session.scalars(select(Job.status).where(Job.type == JobType.REINDEX)))


def test_a_run_ends_when_the_feed_is_embedded_and_indexed(
    tmp_path: Path, database: Database, run: RunAll, workers: Workers
) -> None:
    outcome = run(simple_feed(tmp_path / "feed", 20))
    assert (outcome.embedded, outcome.problems) == (40, [])
    assert reindexes(database) == [JobStatus.SUCCEEDED]
    assert workers.shown == {"embedding": (40, 40), "index": (0, 0)}


def test_a_run_with_nothing_new_builds_no_second_index(
    tmp_path: Path, database: Database, run: RunAll
) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    run(folder)
    outcome = run(folder)
    assert (outcome.embedded, outcome.problems) == (0, [])
    assert reindexes(database) == [JobStatus.SUCCEEDED]


def test_new_photos_are_indexed_beside_the_old(
    tmp_path: Path, database: Database, run: RunAll
) -> None:
    run(simple_feed(tmp_path / "one", 1))
    assert run(simple_feed(tmp_path / "two", 2)).embedded == 2
    assert reindexes(database) == [JobStatus.SUCCEEDED] * 2


def test_a_run_builds_the_index_that_an_earlier_one_did_not(
    tmp_path: Path, database: Database, run: RunAll
) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    assert run(folder, reindex=False).embedded == 4
    assert reindexes(database) == []
    assert run(folder).embedded == 0
    assert reindexes(database) == [JobStatus.SUCCEEDED]


def test_without_waiting_all_is_left_to_the_workers(
    tmp_path: Path, database: Database, run: RunAll
) -> None:
    outcome = run(simple_feed(tmp_path / "feed", 2), wait=False)
    assert (outcome.queued, outcome.embedded, outcome.problems) == (4, 0, [])
    assert reindexes(database) == []


def test_a_run_waits_for_what_a_killed_one_had_queued(tmp_path: Path, run: RunAll) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    run(folder, wait=False)
    assert run(folder).embedded == 4


def test_an_empty_feed_is_no_reason_to_index(
    tmp_path: Path, database: Database, run: RunAll
) -> None:
    outcome = run(simple_feed(tmp_path / "feed", 0))
    assert (outcome.embedded, outcome.problems) == (0, [])
    assert reindexes(database) == []


def test_failed_embed_jobs_are_told(tmp_path: Path, run: RunAll, workers: Workers) -> None:
    workers.fail = JobType.EMBED
    outcome = run(simple_feed(tmp_path / "feed", 2))
    assert outcome.embedded == 0
    assert outcome.problems == [
        "1 embed jobs failed or were cancelled; seed again to queue their photos once more.",
        "4 photos could not be embedded.",
    ]


def test_a_failed_reindex_is_told(tmp_path: Path, run: RunAll, workers: Workers) -> None:
    workers.fail = JobType.REINDEX
    outcome = run(simple_feed(tmp_path / "feed", 2))
    assert outcome.problems == ["The reindex did not succeed: the disk is full"]


def test_a_reindex_under_way_is_no_problem(
    tmp_path: Path,
    database: Database,
    clock: Clock,
    run: RunAll,
    workers: Workers,
) -> None:
    accept_reindex(database, job_id=uuid4(), now=clock())
    outcome = run(simple_feed(tmp_path / "feed", 2))
    assert (outcome.embedded, outcome.problems) == (4, [])
    assert "Another reindex is under way" in workers.said.getvalue()


def test_jobs_can_be_done_in_process_without_a_broker(
    tmp_path: Path,
    database: Database,
    clock: Clock,
    run_seed: RunSeed,
    workers: Workers,
) -> None:
    opened: list[Queue] = []

    @contextmanager
    def worker(queue: Queue) -> Iterator[Callable[[UUID], None]]:
        opened.append(queue)
        # The workers of these tests do every job there is when they are shown one.
        yield lambda _: workers.show("embedding" if queue is Queue.EMBED else "index", 0, 1)

    def run() -> Outcome:
        seeded = run_seed(simple_feed(tmp_path / str(len(opened)), 20), database)
        with InlineExecutor(database, worker, clock) as executor:
            return embed_and_index(
                database,
                executor,
                seeded.jobs,
                reindex=True,
                bars=Bars(Console(file=io.StringIO())),
                clock=clock,
                new_id=uuid4,
            )

    outcome = run()
    assert (outcome.embedded, outcome.problems) == (40, [])
    assert reindexes(database) == [JobStatus.SUCCEEDED]
    # Nothing is opened, no model loaded, where there is nothing to do.
    assert run().embedded == 0
    assert opened == [Queue.EMBED, Queue.INDEX]
