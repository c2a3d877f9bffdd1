"""What tests of the intake share."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from db.photos import PhotoStore
from db.session import Database
from etl.report import SeedReport
from etl.seed import OnProgress, seed
from models.domain import EncoderSpec
from workers.client import JobPublisher

ENCODER = EncoderSpec(name="hog", dimension=4, fingerprint="a" * 64)

RunSeed = Callable[..., SeedReport]


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
def run_seed(store: PhotoStore, publisher: JobPublisher, clock: Callable[[], datetime]) -> RunSeed:
    """Seeds a folder into a database."""

    def run(
        folder: Path,
        database: Database,
        *,
        encoder: EncoderSpec = ENCODER,
        publisher: JobPublisher = publisher,
        max_photo_bytes: int = 1_000_000,
        on_progress: OnProgress = lambda stage, done, total: None,  # noqa: ARG005 - shows nothing
    ) -> SeedReport:
        return seed(
            folder,
            database=database,
            store=store,
            publisher=publisher,
            encoder=encoder,
            max_photo_bytes=max_photo_bytes,
            threads=2,
            clock=clock,
            new_id=uuid4,
            on_progress=on_progress,
        )

    return run
