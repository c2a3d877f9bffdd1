"""A new generation is opened beside the one that serves."""

from threading import Event
from time import monotonic

import pytest

from models.domain.errors import Unavailable
from models.domain.types import JobStatus
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until
from tests.support.workers import WorkerHarness
from workers.indexes import live as live_index
from workers.indexes.live import Candidate, LiveIndex


@pytest.fixture
def indexed(worker: WorkerHarness) -> WorkerHarness:
    """One photo, in a generation."""
    _, photo_ids = worker.list_photos(jpeg(1))
    worker.embed(photo_ids)
    assert worker.reindex().status is JobStatus.SUCCEEDED
    return worker


def sync(worker: WorkerHarness, index: LiveIndex) -> None:
    with worker.database.read() as session:
        index.sync(session)


def test_searches_go_on_while_a_generation_is_opened(
    indexed: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_index, "MAX_OPEN_WAIT_S", 1.0)
    held, may_go = Event(), Event()

    def fetch(wanted: Candidate) -> None:
        if wanted.id > 1:
            held.set()
            assert may_go.wait(10)

    index = LiveIndex(
        indexed.encoder.spec,
        indexed.encoder_id,
        indexed.runtime.config.index.generations_dir,
        fetch,
    )
    sync(indexed, index)
    assert (index.generation_id, index.index.rows) == (1, 1)

    indexed.reindex()
    sync(indexed, index)
    assert held.wait(10)
    _, photo_ids = indexed.list_photos(jpeg(2))
    indexed.embed(photo_ids)
    started = monotonic()
    for _ in range(20):
        sync(indexed, index)
    # Only the first search since the switch waits a moment for it.
    assert monotonic() - started < 10
    assert (index.generation_id, index.index.rows) == (1, 2)

    may_go.set()

    def switched() -> bool:
        sync(indexed, index)
        return index.generation_id == 2

    wait_until(switched)
    assert (index.index.rows, index.index.fresh_count) == (2, 1)
    index.close()


def test_what_can_not_be_fetched_now_is_fetched_later(
    indexed: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_index, "RETRY_AFTER_S", 0.0)
    reachable = Event()
    asked = 0

    def fetch(wanted: Candidate) -> None:
        nonlocal asked
        if wanted.id > 1:
            asked += 1
            if not reachable.is_set():
                raise Unavailable("The store does not answer.")

    index = LiveIndex(
        indexed.encoder.spec,
        indexed.encoder_id,
        indexed.runtime.config.index.generations_dir,
        fetch,
    )
    sync(indexed, index)
    indexed.reindex()

    def tried_twice() -> bool:
        sync(indexed, index)
        return asked >= 2

    wait_until(tried_twice)
    assert (index.generation_id, index.index.rows) == (1, 1)

    reachable.set()

    def switched() -> bool:
        sync(indexed, index)
        return index.generation_id == 2

    wait_until(switched)
    index.close()


def test_a_worker_does_not_start_without_what_it_should_serve(indexed: WorkerHarness) -> None:
    def fetch(wanted: Candidate) -> None:
        raise Unavailable(f"The store does not answer for {wanted.id}.")

    index = LiveIndex(
        indexed.encoder.spec,
        indexed.encoder_id,
        indexed.runtime.config.index.generations_dir,
        fetch,
    )
    with pytest.raises(Unavailable):
        sync(indexed, index)
    index.close()
