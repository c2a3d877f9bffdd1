"""Seeding a folder into a database, as the command does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import activate_initial_encoder
from etl.clean.rejects import Reject
from etl.load.loader import Loaded, Loader, LoadOptions
from etl.load.pipeline import Locate, OnProgress, run_intake
from etl.load.sources import IntakeContext
from etl.report import IntakeReport
from models.domain.types import EncoderSpec
from tests.support.feeds import read_rejects
from workers.queue.embed_jobs import EmbedJobs
from workers.queue.executors import QueueExecutor
from workers.queue.publisher import JobPublisher

ENCODER = EncoderSpec(name="hog", dimension=4, fingerprint="a" * 64)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What came of a seed; `jobs` are the embed jobs that were open at its end."""

    report: IntakeReport
    loaded: Loaded
    jobs: list[UUID]
    rejects: list[Reject]


RunSeed = Callable[..., Seeded]


def intake_context_in(folder: Path, store: PhotoStore) -> IntakeContext:
    """Where a seed keeps what it works on, below a folder; photos are prepared by one process."""
    return IntakeContext(
        scratch=folder / "scratch",
        ledger=folder / "photos.db",
        rejects=folder / "rejects.csv",
        store=store,
        max_photo_bytes=1_000_000,
        processes=1,
    )


def seeder(place: IntakeContext, publisher: JobPublisher, clock: Callable[[], datetime]) -> RunSeed:
    """A function that seeds a folder into a database."""

    def run(
        folder: Path,
        database: Database,
        *,
        encoder: EncoderSpec = ENCODER,
        publisher: JobPublisher = publisher,
        place: IntakeContext = place,
        feed: str = "feed",
        pruning: bool = False,
        force: bool = False,
        former_feed: str = "",
        last_source: str = "",
        say: Callable[[str], None] = print,
        locate: Locate = dict.fromkeys,
        on_progress: OnProgress = lambda stage, done, total: None,  # noqa: ARG005 - shows nothing
    ) -> Seeded:
        with database.write() as session:
            activate_initial_encoder(session, encoder, clock())
        executor = QueueExecutor(database, publisher, clock, print)
        embed_jobs = EmbedJobs(database, executor, clock=clock, new_id=uuid4)
        options = LoadOptions(
            feed, prune=pruning, force=force, former_feed=former_feed, last_source=last_source
        )
        loader = Loader(database, embed_jobs, options, clock, say)
        report = run_intake(
            folder, loader, replace(place, feed=feed), locate=locate, on_progress=on_progress
        )
        rejects = read_rejects(place.rejects) if place.rejects else []
        return Seeded(report, loader.loaded, list(embed_jobs.open), rejects)

    return run
