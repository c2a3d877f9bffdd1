"""Seeding, for what reconciliation finds after it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from db.store.photo_store import PhotoStore
from tests.support.redis import broker_at
from tests.support.seeding import RunSeed, intake_context_in, seeder
from workers.queue.publisher import JobPublisher


@pytest.fixture
def run_seed(tmp_path: Path, store: PhotoStore, clock: Callable[[], datetime]) -> Iterator[RunSeed]:
    """Seeds a folder into a database while the broker is down."""
    publisher = JobPublisher(broker_at(f"redis+socket://{tmp_path}/nothing.sock"))
    yield seeder(intake_context_in(tmp_path, store), publisher, clock)
    publisher.close()
