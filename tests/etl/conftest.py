"""What tests of the intake share."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from db.store.photo_store import PhotoStore
from etl.load.cleaned_feed import CleanedWriter
from etl.load.pipeline import run_intake
from etl.load.sources import IntakeContext
from models.domain.types import EncoderSpec
from tests.support.redis import broker_at
from tests.support.seeding import ENCODER, RunSeed, intake_context_in, seeder
from workers.queue.publisher import JobPublisher


@pytest.fixture
def encoder() -> EncoderSpec:
    return ENCODER


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[JobPublisher]:
    """A publisher whose broker is down."""
    opened = JobPublisher(broker_at(f"redis+socket://{tmp_path}/nothing.sock"))
    yield opened
    opened.close()


@pytest.fixture
def intake_context(tmp_path: Path, store: PhotoStore) -> IntakeContext:
    return intake_context_in(tmp_path, store)


@pytest.fixture
def run_seed(
    intake_context: IntakeContext, publisher: JobPublisher, clock: Callable[[], datetime]
) -> RunSeed:
    """Seeds a folder into a database."""
    return seeder(intake_context, publisher, clock)


@pytest.fixture
def clean_into() -> Callable[..., None]:
    """Cleans a feed into a folder, as the command does."""

    def run(source: Path, out: Path, feed: str = "feed") -> None:
        place = intake_context_in(out, PhotoStore(str(out / "photos")))
        place = replace(place, scratch=out / "work", ledger=out / "work" / "photos.db", feed=feed)
        run_intake(
            source,
            CleanedWriter(out, out / "work"),
            place,
            locate=dict.fromkeys,
            on_progress=lambda stage, done, total: None,  # noqa: ARG005 - shows nothing
        )

    return run
