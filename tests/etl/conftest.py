"""What tests of the intake share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import adopt_encoder
from etl.clean.rejects import Reject
from etl.load.loader import Loaded, Loader, Rules
from etl.load.pipeline import Locate, OnProgress, seed
from etl.load.sources import Workplace
from etl.report import IntakeReport
from models.domain.types import EncoderSpec
from tests.support.feeds import read_rejects
from workers.queue.embed_jobs import EmbedJobs
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


@pytest.fixture
def encoder() -> EncoderSpec:
    return ENCODER


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[JobPublisher]:
    """A publisher whose broker is down."""
    opened = JobPublisher(f"redis+socket://{tmp_path}/nothing.sock")
    yield opened
    opened.close()


@pytest.fixture
def workplace(tmp_path: Path, store: PhotoStore) -> Workplace:
    return Workplace(
        scratch=tmp_path / "scratch",
        ledger=tmp_path / "photos.db",
        rejects=tmp_path / "rejects.csv",
        store=store,
        max_photo_bytes=1_000_000,
        processes=1,
    )


@pytest.fixture
def run_seed(
    workplace: Workplace, publisher: JobPublisher, clock: Callable[[], datetime]
) -> RunSeed:
    """Seeds a folder into a database."""

    def run(
        folder: Path,
        database: Database,
        *,
        encoder: EncoderSpec = ENCODER,
        publisher: JobPublisher = publisher,
        place: Workplace = workplace,
        feed: str = "feed",
        pruning: bool = False,
        force: bool = False,
        locate: Locate = dict.fromkeys,
        on_progress: OnProgress = lambda stage, done, total: None,  # noqa: ARG005 - shows nothing
    ) -> Seeded:
        with database.write() as session:
            adopt_encoder(session, encoder, clock())
        embed_jobs = EmbedJobs(database, publisher, clock=clock, new_id=uuid4)
        rules = Rules(feed, prune=pruning, force=force)
        loader = Loader(database, embed_jobs, rules, clock)
        report = seed(folder, loader, place, locate=locate, on_progress=on_progress)
        rejects = read_rejects(place.rejects) if place.rejects else []
        return Seeded(report, loader.loaded, list(embed_jobs.open), rejects)

    return run
