"""From one encoder to another: whatever interrupts it, nothing is lacking and nothing is redone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from db.catalogue.listings import delete_listing
from db.jobs import attempts, cancelling, embed, reading
from db.tables import Job
from db.vectors import generations
from db.vectors.embeddings import photos_lacking
from db.vectors.encoders import activate_encoder, count_lacking, get_encoder
from models.domain.errors import Conflict
from models.domain.types import EncoderStatus, JobStatus, JobType
from models.photo_decoding import standardise
from tests.support.encoder import ThumbnailEncoder
from tests.support.payloads import NOTHING_EMBEDDED
from tests.support.pictures import jpeg
from tests.support.workers import WorkerHarness
from workers.encoders import migration
from workers.encoders.migration import Migrated, Migration
from workers.queue.messages import PublishableJob, Queue
from workers.tasks import run_job


class Killed(BaseException):
    """As a signal would, nothing that is written catches it."""


@dataclass
class OneWorker:
    """Does one job each time that somebody waits, the oldest first; at `killed_at`, all ends."""

    worker: WorkerHarness
    killed_at: int | None = None
    meanwhile: Callable[[], object] = lambda: None
    waits: int = 0
    most_queued: int = 0
    queued: list[UUID] = field(default_factory=list)

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        self.queued += [job.id for job in accepted]
        self.most_queued = max(self.most_queued, len(self.queued))

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        del queue
        self.waits += 1
        if self.waits == self.killed_at:
            raise Killed
        self.meanwhile()
        # Those of an earlier run are known from the database alone.
        job_id = (self.queued or list(job_ids)).pop(0)
        run_job(self.worker.runtime, job_id)


@dataclass
class World:
    worker: WorkerHarness
    other: ThumbnailEncoder
    other_id: int
    shown: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def migrate(self, executor: OneWorker | None = None) -> Migrated:
        migration = Migration(
            self.worker.database,
            executor or OneWorker(self.worker),
            clock=self.worker.now,
            new_id=uuid4,
            on_progress=lambda name, done, total: self.shown.setdefault(name, []).append(
                (done, total)
            ),
        )
        return migration.run(self.other.spec)

    def lacking(self) -> int:
        with self.worker.database.read() as session:
            return len(photos_lacking(session, self.other_id))

    def activate(self) -> None:
        """Without force, so that anything lacking would be refused."""
        with self.worker.database.write() as session:
            activate_encoder(session, self.other_id, self.worker.now())

    def jobs_of(self, job_type: JobType) -> list[Job]:
        with self.worker.database.read() as session:
            return [job for job in reading.recent(session, 1000, None) if job.type is job_type]


@pytest.fixture
def world(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> World:
    """Ten listings, embedded and indexed by the active encoder; and another encoder."""
    for module in (migration, embed):
        monkeypatch.setattr(module, "PHOTOS_PER_JOB", 2)
    for seed in range(10):
        worker.list_pictures(seed)
    worker.reindex()
    return World(worker, *worker.add_encoder("other"))


def test_a_migration_embeds_indexes_and_compares(world: World) -> None:
    migrated = world.migrate()
    assert (migrated.embedded, migrated.failed, world.lacking()) == (10, 0, 0)
    assert world.other.embedded == 10
    assert migrated.generation.rows == 10
    assert migrated.baseline
    assert migrated.baseline.spec == world.worker.encoder.spec
    # The two are the same but for their names.
    assert migrated.comparison
    assert migrated.comparison.overlap_at_10 == 1.0
    assert migrated.comparison.queries == 10
    with world.worker.database.read() as session:
        other = get_encoder(session, world.other_id)
        assert other.status is EncoderStatus.FOLLOWED
        assert other.comparison == migrated.comparison.to_json()
    for steps in world.shown.values():
        assert steps[-1][0] == steps[-1][1]
    assert world.shown.keys() == {"embedding", "index", "comparing"}
    world.activate()


def test_a_second_migration_does_nothing_again(world: World) -> None:
    generation = world.migrate().generation.id
    again = world.migrate()
    assert (again.embedded, again.generation.id) == (0, generation)
    assert world.other.embedded == 10


@pytest.mark.parametrize("killed_at", range(1, 7))
def test_killed_at_any_moment_the_next_run_goes_on(world: World, killed_at: int) -> None:
    """Five embed jobs and a reindex: all six moments are met."""
    with pytest.raises(Killed):
        world.migrate(OneWorker(world.worker, killed_at))
    migrated = world.migrate()
    assert world.lacking() == 0
    assert world.other.embedded == 10
    assert migrated.generation.rows == 10
    assert {job.status for job in world.jobs_of(JobType.EMBED)} == {JobStatus.SUCCEEDED}
    assert len(world.jobs_of(JobType.REINDEX)) == 2
    world.activate()


def test_only_a_few_jobs_are_queued_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (migration, embed):
        monkeypatch.setattr(module, "PHOTOS_PER_JOB", 1)
    hands = OneWorker(world.worker)
    world.migrate(hands)
    assert hands.waits == 11
    assert hands.most_queued <= 3


def test_workers_that_are_many_do_not_run_dry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (migration, embed):
        monkeypatch.setattr(module, "PHOTOS_PER_JOB", 1)

    class ManyWorkers(OneWorker):
        def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
            super().step(queue, job_ids)
            while self.queued:
                run_job(self.worker.runtime, self.queued.pop(0))

    hands = ManyWorkers(world.worker)
    world.migrate(hands)
    # Two, five, the other three; then the index.
    assert hands.waits == 4


def test_a_job_that_began_before_leaves_no_gap(world: World) -> None:
    """It began when one encoder was followed, and ends when everything else is done."""
    worker = world.worker
    _, photo_ids = worker.list_photos(jpeg(50))
    early = worker.claim(worker.accept(JobType.EMBED, {"photo_ids": photo_ids}))
    world.migrate()
    assert world.lacking() == 0
    with worker.database.write() as session:
        attempts.finish(session, early, worker.now(), result=NOTHING_EMBEDDED)
        assert count_lacking(session, world.other_id, worker.encoder_id) == 0


def test_what_is_listed_meanwhile_is_left_to_its_own_job(world: World) -> None:
    worker = world.worker
    listed_meanwhile: list[UUID] = []

    def list_another() -> None:
        """All through the migration, which must end all the same."""
        _, photo_ids = worker.list_photos(jpeg(100 + len(listed_meanwhile)))
        listed_meanwhile.append(worker.accept(JobType.EMBED, {"photo_ids": photo_ids}))

    migrated = world.migrate(OneWorker(worker, meanwhile=list_another))
    assert migrated.embedded == 10
    for job_id in listed_meanwhile:
        run_job(worker.runtime, job_id)
    assert world.lacking() == 0
    assert world.other.embedded == 10 + len(listed_meanwhile)
    world.activate()


def test_what_comes_back_meanwhile_is_embedded_too(world: World) -> None:
    worker = world.worker
    gone = worker.list_pictures(60)
    worker.delete(gone)

    def bring_back() -> None:
        if any(job.status is JobStatus.QUEUED for job in world.jobs_of(JobType.REINDEX)):
            worker.list_photos(jpeg(60), listing_id=gone)

    assert world.migrate(OneWorker(worker, meanwhile=bring_back)).embedded == 11
    assert world.lacking() == 0
    world.activate()


def test_a_photo_that_can_not_be_read_does_not_stop_it(world: World) -> None:
    world.worker.runtime.store.delete(standardise(jpeg(3)).sha256)
    migrated = world.migrate()
    assert (migrated.embedded, migrated.failed) == (9, 1)
    with pytest.raises(Conflict, match="1 photos are not embedded"):
        world.activate()


def test_a_job_that_fails_ends_it_with_the_reason(world: World) -> None:
    def cancel() -> None:
        with world.worker.database.write() as session:
            cancelling.cancel(session, hands.queued[0], world.worker.now())

    hands = OneWorker(world.worker, meanwhile=cancel)
    with pytest.raises(Conflict, match="cancelled"):
        world.migrate(hands)
    assert world.migrate().embedded == 10


def test_an_index_that_is_refused_ends_it_with_the_reason(world: World) -> None:
    def fail() -> None:
        for job in world.jobs_of(JobType.REINDEX):
            if job.status is JobStatus.QUEUED:
                claim = world.worker.claim(job.id)
                with world.worker.database.write() as session:
                    now = world.worker.now()
                    attempts.fail(session, claim, now, code="recall_too_low", detail="It is blind.")

    with pytest.raises(Conflict, match="It is blind"):
        world.migrate(OneWorker(world.worker, meanwhile=fail))
    assert world.migrate().generation.rows == 10


def test_somebody_elses_reindex_is_waited_for(world: World) -> None:
    theirs = world.worker.accept(JobType.REINDEX, {})
    migrated = world.migrate()
    assert world.worker.job(theirs).status is JobStatus.SUCCEEDED
    assert migrated.generation.encoder_id == world.other_id


def test_an_index_that_holds_too_little_is_built_anew(world: World) -> None:
    first = world.migrate().generation.id
    world.worker.list_pictures(70)
    assert world.migrate().generation.id == first
    for seed in range(71, 75):
        world.worker.list_pictures(seed)
    assert world.migrate().generation.rows == 15


def test_without_another_encoder_there_is_nothing_to_compare_with(world: World) -> None:
    world.other, world.other_id = world.worker.encoder, world.worker.encoder_id
    migrated = world.migrate()
    assert (migrated.baseline, migrated.comparison) == (None, None)
    with world.worker.database.read() as session:
        assert get_encoder(session, world.other_id).status is EncoderStatus.ACTIVE


def test_an_empty_catalogue_can_change_its_encoder(worker: WorkerHarness) -> None:
    world = World(worker, *worker.add_encoder("other"))
    migrated = world.migrate()
    assert (migrated.embedded, migrated.generation.rows, migrated.comparison) == (0, 0, None)
    world.activate()


def test_what_was_deleted_is_not_embedded(world: World) -> None:
    gone = world.worker.list_pictures(80)
    with world.worker.database.write() as session:
        delete_listing(session, gone, world.worker.now())
    assert world.migrate().embedded == 10
    with world.worker.database.read() as session:
        assert generations.live(session, world.other_id)
