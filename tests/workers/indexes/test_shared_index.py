"""Several workers keep one Milvus index in step with the database."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event, Thread
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.jobs import accepting, claiming, reading
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors import embeddings
from db.vectors.changes import last_change
from db.vectors.embeddings import add_embeddings, live_vectors_of
from db.vectors.encoders import activate_initial_encoder
from models.domain.errors import Unavailable
from models.domain.job_payloads import ReindexPayload
from models.domain.types import EncoderSpec, JobStatus
from tests.support.clock import Clock
from tests.support.embedding import LEASE
from workers.indexes.open import Indexes
from workers.jobs.heartbeat import Heartbeat

pytest.importorskip("pymilvus", reason="needs the extra milvus")

from models.index.milvus import MilvusIndex
from tests.support.milvus import milvus_server
from workers.indexes import shared_index
from workers.indexes.following import Repaired
from workers.indexes.shared_index import SharedIndex, open_shared, repair
from workers.indexes.writer_lock import writer_lock
from workers.jobs.repair_index import run_repair

DIMENSION = 8


class Shop:
    """A database with listings of one photo each, whose vectors are drawn, and its workers."""

    def __init__(self, database: Database, url: str) -> None:
        self.database = database
        self.url = url
        self._now = Clock()()
        self._spec = EncoderSpec("test", DIMENSION, uuid4().hex * 2)
        self._seeds = count()
        with database.write() as session:
            self.encoder_id = activate_initial_encoder(session, self._spec, self._now).id

    def worker(self) -> SharedIndex:
        """A worker that has just started."""
        return open_shared(self.url, self._spec, self.database, self.encoder_id)

    def sell(self, listing_id: UUID | None = None) -> tuple[UUID, int]:
        """Put up a listing with a new photo; gives the ids of both."""
        seed = next(self._seeds)
        listing_id = listing_id or uuid4()
        vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
        with self.database.write() as session:
            photo = PhotoData(f"{seed:064x}", 10, 10)
            photo_id = ensure_photos(session, [photo], self._now)[photo.sha256]
            self._show(session, listing_id, photo_id)
            unit = vector / np.linalg.norm(vector)
            add_embeddings(session, self.encoder_id, {photo_id: unit})
        return listing_id, photo_id

    def sell_again(self, listing_id: UUID, photo_id: int) -> None:
        """Put a listing that was taken down up again."""
        with self.database.write() as session:
            self._show(session, listing_id, photo_id)

    def take_down(self, listing_id: UUID) -> None:
        with self.database.write() as session:
            delete_listing(session, listing_id, self._now)

    def found_by(self, worker: SharedIndex) -> set[int]:
        """The photos that a search of this worker finds."""
        with self.database.read() as session:
            worker.sync(session)
        query = np.eye(DIMENSION, dtype=np.float32)[0]
        return {match.photo_id for match in worker.index.matches(query)}

    def position(self) -> int:
        with self.database.read() as session:
            return last_change(session)

    def _show(self, session: Session, listing_id: UUID, photo_id: int) -> None:
        upsert_listings(session, [ListingData(listing_id, "A thing")], self._now)
        set_photos(session, {listing_id: []})
        set_photos(session, {listing_id: [photo_id]})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_server(tmp_path_factory.mktemp("milvus")) as served:
        yield served


@pytest.fixture
def shop(any_database: Database, url: str) -> Shop:
    return Shop(any_database, url)


class Died(Exception):
    """A worker was killed here."""


def die(*_: object) -> None:
    raise Died


def halted(
    index: MilvusIndex, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Let a worker work until it is about to store photos; gives what lets it go on to the end."""
    there, go_on = Event(), Event()
    upsert = index.upsert

    def halt(ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        there.set()
        assert go_on.wait(10)
        upsert(ids, vectors)

    monkeypatch.setattr(index, "upsert", halt)
    thread = Thread(target=work)
    thread.start()
    assert there.wait(10)

    def finish() -> None:
        go_on.set()
        thread.join(10)

    return finish


def unheard(rows: int) -> None:
    """A heartbeat that nobody hears."""


@contextmanager
def no_lock(database: Database, encoder_id: int) -> Generator[Session]:
    """A lock that was lost without its holder's knowing."""
    del encoder_id
    with database.read() as session:
        yield session


def test_a_search_finds_what_was_committed_before_it(shop: Shop) -> None:
    worker = shop.worker()
    assert shop.found_by(worker) == set()
    (first, one), (_, two) = shop.sell(), shop.sell()
    assert shop.found_by(worker) == {one, two}
    shop.take_down(first)
    assert shop.found_by(worker) == {two}
    shop.sell_again(first, one)
    assert shop.found_by(worker) == {one, two}
    assert worker.index.position == shop.position()
    assert worker.generation_id is None


def test_what_one_worker_brought_in_all_find(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = shop.worker(), shop.worker()
    _, photo_id = shop.sell()
    assert shop.found_by(first) == {photo_id}
    monkeypatch.setattr(second.index, "upsert", None)  # has nothing to write
    assert shop.found_by(second) == {photo_id}


def test_the_first_worker_fills_the_index_in_batches(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "BATCH_ROWS", 2)
    sold = [shop.sell() for _ in range(5)]
    shop.take_down(sold[1][0])
    worker = shop.worker()
    assert shop.found_by(worker) == {photo_id for _, photo_id in sold} - {sold[1][1]}
    assert worker.index.position == shop.position()


def test_many_changes_are_applied_in_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_index, "CHANGES_PER_STEP", 2)
    worker = shop.worker()
    shop.sell()
    shop.found_by(worker)
    sold = [shop.sell() for _ in range(5)]
    assert shop.found_by(worker) >= {photo_id for _, photo_id in sold}
    assert worker.index.position == shop.position()


@pytest.mark.parametrize("step", ["remove", "upsert", "record"])
def test_who_dies_between_two_steps_loses_no_change(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (first, one), (second, two) = shop.sell(), shop.sell()
    shop.take_down(second)
    worker = shop.worker()
    assert shop.found_by(worker) == {one}
    shop.take_down(first)
    shop.sell_again(second, two)

    monkeypatch.setattr(worker.index, step, die)
    with pytest.raises(Died):
        shop.found_by(worker)

    assert shop.found_by(shop.worker()) == {two}


def test_who_dies_while_filling_leaves_it_to_be_filled(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "BATCH_ROWS", 2)
    sold = {shop.sell()[1] for _ in range(4)}
    worker = shop.worker()
    monkeypatch.setattr(worker.index, "flush", die)
    with pytest.raises(Died):
        shop.found_by(worker)

    assert worker.index.position is None
    assert shop.found_by(shop.worker()) == sold


def test_what_comes_while_an_index_is_filled_is_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, one = shop.sell()
    worker = shop.worker()
    sold: list[int] = []
    monkeypatch.setattr(worker.index, "flush", lambda: sold.append(shop.sell()[1]))
    shop.found_by(worker)

    assert shop.found_by(worker) == {one, *sold}


def test_old_knowledge_never_comes_after_new(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = shop.worker(), shop.worker()
    shop.sell()
    shop.found_by(quick)
    listing_id, photo_id = shop.sell()
    # It has read that the photo is live.
    finish = halted(slow.index, lambda: shop.found_by(slow), monkeypatch)
    shop.take_down(listing_id)
    found: list[set[int]] = []
    searching = Thread(target=lambda: found.append(shop.found_by(quick)))
    searching.start()
    searching.join(0.3)
    finish()
    searching.join(10)

    assert photo_id not in found[0]
    assert photo_id not in slow.index.ids()
    assert slow.index.position == shop.position()


@pytest.mark.parametrize("work", ["sync", "repair"])
def test_who_lost_the_turn_unawares_has_the_rest_applied_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    slow, quick = shop.worker(), shop.worker()
    shop.sell()
    shop.found_by(quick)
    listing_id, photo_id = shop.sell()

    def repaired() -> None:
        repair(slow.index, shop.database, shop.encoder_id, unheard)

    with monkeypatch.context() as patched:
        patched.setattr(shared_index, "writer_lock", no_lock)
        finish = halted(
            slow.index, repaired if work == "repair" else lambda: shop.found_by(slow), patched
        )
    shop.take_down(listing_id)
    assert photo_id not in shop.found_by(quick)
    finish()
    assert photo_id in slow.index.ids()

    shop.sell()
    assert photo_id not in shop.found_by(quick)


def test_an_index_from_the_future_is_filled_anew(shop: Shop) -> None:
    sold, strays = {shop.sell()[1], shop.sell()[1]}, np.array([1_000])
    worker = shop.worker()
    shop.found_by(worker)
    # What an older copy of the database, put in its place, knows nothing of.
    worker.index.upsert(strays, np.eye(DIMENSION, dtype=np.float32)[:1])
    worker.index.record(shop.position() + 1_000)

    assert shop.found_by(shop.worker()) == sold
    assert worker.index.position == shop.position()


def test_what_went_wrong_in_the_index_is_repaired(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "BATCH_ROWS", 2)
    monkeypatch.setattr(shared_index, "CHANGES_PER_STEP", 2)
    sold = [shop.sell()[1] for _ in range(5)]
    worker = shop.worker()
    shop.found_by(worker)
    strays = np.arange(1_000, 1_005)
    worker.index.upsert(strays, np.eye(DIMENSION, dtype=np.float32)[:5])
    worker.index.remove(np.array(sold[1:3]))
    beats: list[int] = []

    repaired = repair(worker.index, shop.database, shop.encoder_id, beats.append)

    assert repaired == Repaired(added=2, removed=5)
    assert worker.index.ids().tolist() == sold
    assert worker.index.position == shop.position()
    assert beats[:3] == [2, 4, 5]


def test_a_reindex_job_repairs(shop: Shop, clock: Clock) -> None:
    sold = [shop.sell()[1] for _ in range(3)]
    worker = shop.worker()
    shop.found_by(worker)
    worker.index.remove(np.array(sold[:1]))
    with shop.database.write() as session:
        accepted = accepting.accept(session, ReindexPayload(), job_id=uuid4(), now=clock(), total=1)
        claim = claiming.claim(session, accepted.id, clock(), LEASE)
    assert claim

    run_repair(
        claim,
        ReindexPayload(),
        database=shop.database,
        indexes=Indexes(shop.database, PhotoStore(""), Path(), shop.url),
        heartbeat=Heartbeat(shop.database, claim, LEASE, clock),
        clock=clock,
    )

    with shop.database.read() as session:
        job = reading.get(session, accepted.id)
    assert (job.status, job.done, job.total) == (JobStatus.SUCCEEDED, 3, 3)
    assert job.result == {"rows": 3, "added": 1, "removed": 0}
    assert worker.index.ids().tolist() == sold


def test_what_comes_back_while_an_index_is_repaired_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing_id, photo_id = shop.sell()
    worker = shop.worker()
    shop.found_by(worker)
    shop.take_down(listing_id)

    def live(session: Session, encoder_id: int, ids: list[int]) -> embeddings.Vectors:
        shop.sell_again(listing_id, photo_id)
        return live_vectors_of(session, encoder_id, ids)

    monkeypatch.setattr(shared_index, "live_vectors_of", live)
    repair(worker.index, shop.database, shop.encoder_id, unheard)
    monkeypatch.undo()

    assert shop.found_by(worker) == {photo_id}


def test_a_turn_is_not_waited_for_for_ever(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.indexes.writer_lock.MAX_WAIT_S", 0.05)
    with writer_lock(shop.database, 1):
        with pytest.raises(Unavailable), writer_lock(shop.database, 1):
            pass
        with writer_lock(shop.database, 2):  # another encoder's
            pass
    with writer_lock(shop.database, 1):
        pass
