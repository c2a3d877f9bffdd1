"""Whatever happened to the catalogue and the index: a search finds what brute force finds."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.jobs import accepting, attempts, claiming
from db.schema_migration import upgrade
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors import generations
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.errors import MarketlensError
from models.domain.filters import ListingFilter
from models.domain.job_payloads import ReindexPayload
from models.domain.types import EncoderSpec, ListingStatus
from models.vectors import as_stored
from tests.support.clock import Clock
from workers.config import IndexSettings
from workers.indexes.live import LiveIndex
from workers.jobs.heartbeat import Heartbeat
from workers.jobs.reindex import run_reindex
from workers.search.retrieval import Page, retrieve

DIMENSION = 8
SPEC = EncoderSpec("drawn", DIMENSION, "d" * 64)
LEASE = timedelta(minutes=1)
FILTERS = (
    ListingFilter(),
    ListingFilter(price_max=Decimal(3)),
    ListingFilter(category="Home", status=(ListingStatus.SOLD, ListingStatus.ACTIVE)),
)

photos = st.integers(0, 39)
listings = st.integers(0, 14)


def drawn_vectors() -> NDArray[np.float32]:
    """Forty, of which every other is the one before again: ties are everywhere."""
    rows = np.repeat(np.random.default_rng(3).normal(size=(20, DIMENSION)), 2, axis=0)
    return as_stored((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


class History(RuleBasedStateMachine):
    """A catalogue, a worker's index that follows it, and the plain truth beside them."""

    new_database: Callable[[Path], Database]

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        root = Path(self.folder.name)
        self.database = type(self).new_database(root)
        self.generations_dir = root / "generations"
        self.vectors = drawn_vectors()
        self.truth: dict[UUID, tuple[ListingData, list[int]]] = {}
        with self.database.write() as session:
            self.encoder_id = activate_initial_encoder(session, SPEC, Clock()()).id
            stored = [PhotoData(f"{number:064x}", 8, 8) for number in range(len(self.vectors))]
            by_hash = ensure_photos(session, stored, Clock()())
        self.photo_ids = [by_hash[photo.sha256] for photo in stored]
        self.embedded: set[int] = set()
        self.index = LiveIndex(SPEC, self.encoder_id, self.generations_dir)

    def teardown(self) -> None:
        self.index.close()
        self.database.close()
        self.folder.cleanup()

    @rule(
        number=listings,
        shown=st.lists(photos, min_size=1, max_size=3, unique=True),
        price=st.integers(1, 5),
        home=st.booleans(),
        status=st.sampled_from([ListingStatus.ACTIVE, ListingStatus.SOLD]),
    )
    def state(
        self, number: int, shown: list[int], price: int, home: bool, status: ListingStatus
    ) -> None:
        """Add a listing, or change all there is to it."""
        data = ListingData(
            UUID(int=number + 1),
            "A thing",
            category="Home / Lamps" if home else "Toys",
            price=Decimal(price),
            currency="EUR",
            status=status,
        )
        with self.database.write() as session:
            upsert_listings(session, [data], Clock()())
            set_photos(session, {data.id: [self.photo_ids[photo] for photo in shown]})
        self.truth[data.id] = (data, shown)

    @rule(some=st.lists(photos, max_size=12, unique=True))
    def embed(self, some: list[int]) -> None:
        with self.database.write() as session:
            found = {self.photo_ids[photo]: self.vectors[photo] for photo in some}
            add_embeddings(session, self.encoder_id, found)
        self.embedded |= set(some)

    @rule(number=listings)
    def delete(self, number: int) -> None:
        with self.database.write() as session:
            delete_listings(session, [UUID(int=number + 1)], Clock()())
        self.truth.pop(UUID(int=number + 1), None)

    @rule(factory=st.sampled_from([None, "IVF2,SQ8"]))
    def reindex(self, factory: str | None) -> None:
        payload = ReindexPayload(factory=factory)
        with self.database.write() as session:
            job = accepting.accept(session, payload, job_id=uuid4(), now=Clock()())
            claim = claiming.claim(session, job.id, Clock()(), LEASE)
        assert claim
        try:
            run_reindex(
                claim,
                payload,
                database=self.database,
                store=PhotoStore(f"{self.folder.name}/photos"),
                settings=IndexSettings(self.generations_dir, 0.9, 2**30, 3),
                heartbeat=Heartbeat(self.database, claim, LEASE, Clock()),
                clock=Clock(),
            )
        except MarketlensError as error:  # too few rows for lists: refused, and no harm done
            assert factory
            with self.database.write() as session:
                attempts.fail(session, claim, Clock()(), code=error.code, detail=str(error))

    @precondition(lambda self: self.index.generation_id is not None)
    @rule(back=st.integers(0, 2))
    def roll_back(self, back: int) -> None:
        with self.database.write() as session:
            usable = generations.usable(session, self.encoder_id)
            generations.switch_to(session, usable[back % len(usable)].id, Clock()())

    @rule()
    def restart(self) -> None:
        self.index.close()
        self.index = LiveIndex(SPEC, self.encoder_id, self.generations_dir)

    @rule(photo=photos, limit=st.integers(1, 8), wanted=st.sampled_from(FILTERS))
    def search(self, photo: int, limit: int, wanted: ListingFilter) -> None:
        query = self.vectors[photo]
        with self.database.read() as session:
            self.index.sync(session)
            page = retrieve(session, self.index.index, [query], Page(limit, wanted=wanted))
        truth = self.brute_force(query, wanted)
        found = {match.listing_id: match.similarity for match in page.listings}
        assert len(found) == len(page.listings)
        assert found.keys() <= truth.keys()
        assert found == pytest.approx({key: truth[key] for key in found}, abs=1e-6)
        if page.exact:
            best = sorted(truth.values(), reverse=True)[:limit]
            assert sorted(found.values(), reverse=True) == pytest.approx(best, abs=1e-6)

    @invariant()
    def holds_exactly_what_is_shown_and_embedded(self) -> None:
        with self.database.read() as session:
            self.index.sync(session)
        shown = {photo for _, shown in self.truth.values() for photo in shown}
        assert self.index.index.rows == len(shown & self.embedded)

    def brute_force(self, query: NDArray[np.float32], wanted: ListingFilter) -> dict[UUID, float]:
        best: dict[UUID, float] = {}
        for listing_id, (data, shown) in self.truth.items():
            seen = [photo for photo in shown if photo in self.embedded]
            if seen and passes(data, wanted):
                best[listing_id] = max(float(self.vectors[photo] @ query) for photo in seen)
        return best


def passes(data: ListingData, wanted: ListingFilter) -> bool:
    assert data.price is not None
    assert data.category is not None
    return (
        data.status in wanted.status
        and (wanted.price_max is None or data.price <= wanted.price_max)
        and (wanted.category is None or data.category.startswith(wanted.category))
    )


def test_any_history_finds_what_brute_force_finds(tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    upgrade(f"sqlite:///{migrated}")

    def new_database(root: Path) -> Database:
        shutil.copyfile(migrated, root / "catalogue.db")
        return Database(f"sqlite:///{root / 'catalogue.db'}")

    History.new_database = staticmethod(new_database)
    case = History.TestCase
    case.settings = settings(
        max_examples=30, stateful_step_count=25, deadline=None, derandomize=True
    )
    case().runTest()
