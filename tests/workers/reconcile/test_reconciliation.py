"""Each difference is seen, repaired where it can be, and then gone; what is right is left alone."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from db.catalogue.listing_photos import (
    PhotoData,
)
from db.catalogue.listings import (
    ListingData,
    delete_listing,
)
from db.jobs import accepting, cancelling
from db.session import Database
from db.store.photo_store import GRACE, PREFIXES, PhotoStore, PrefixListing
from db.tables import Generation, Job
from db.vectors import generations
from db.vectors.embeddings import photos_to_queue
from db.vectors.encoders import (
    activate_encoder,
    activate_initial_encoder,
    active_encoder,
    register_encoder,
    retire_encoder,
)
from models.domain.errors import ReindexRunning, Unavailable
from models.domain.job_payloads import (
    DuplicatesPayload,
    EmbeddingPayload,
    EmbedPayload,
    PredictionPayload,
    ReindexPayload,
    SearchPayload,
)
from models.domain.types import EncoderSpec, GenerationStatus, JobType
from tests.support.catalogue import add_listing
from tests.support.embedding import LEASE, claim_queued, embed_all, embed_for_real
from tests.support.encoder import ThumbnailEncoder
from tests.support.feeds import image_row, product_row, write_feed
from tests.support.holding import holding_open
from tests.support.pictures import grey, jpeg
from tests.support.seeding import RunSeed
from workers.config import IndexSettings
from workers.generations.publish import publish_generation, published_generations
from workers.jobs.heartbeat import Heartbeat
from workers.jobs.reindex import run_reindex
from workers.reconcile.findings import (
    EXPLANATIONS,
    INFORMATIONAL,
    Finding,
    Kind,
    Reconciliation,
)
from workers.reconcile.reconciliation import Deployment, Repairs, reconcile

ENCODER = EncoderSpec(name="hog", dimension=4, fingerprint="a" * 64)


@dataclass
class World:
    """A machine whose workers work when they are told to, and what repairs have asked of them."""

    database: Database
    store: PhotoStore
    folder: Path
    encoder: EncoderSpec = ENCODER
    asked: list[str] = field(default_factory=list)

    @property
    def machine(self) -> Deployment:
        return Deployment(self.database, self.store, self.generations_dir)

    @property
    def generations_dir(self) -> Path:
        return self.folder / "generations"

    def now(self) -> datetime:
        # The real time: files of the store carry it.
        return datetime.now(UTC)

    def look(self, *, verify: bool = False, later: timedelta = timedelta(0)) -> Reconciliation:
        return reconcile(
            self.machine,
            now=self.now() + later,
            repairs=None,
            verify=verify,
            on_progress=lambda *_: None,
        )

    def repair(self, *, verify: bool = False, later: timedelta = timedelta(0)) -> Reconciliation:
        return reconcile(
            self.machine,
            now=self.now() + later,
            repairs=Repairs(self._queue_missing, self.request_reindex),
            verify=verify,
            on_progress=lambda *_: None,
        )

    def list_photos(self, *photos: bytes, listing_id: UUID | None = None) -> UUID:
        """List something with these photos, as they are."""
        listing = ListingData(listing_id or uuid4(), "A thing")
        stored = [PhotoData(self.store.put(data), 3, 4) for data in photos]
        with self.database.write() as session:
            return add_listing(session, stored, self.now(), listing=listing)[0]

    def unlist(self, listing_id: UUID) -> None:
        with self.database.write() as session:
            delete_listing(session, listing_id, self.now())

    def _queue_missing(self) -> None:
        self.asked.append("embedding")
        with self.database.write() as session:
            activate_initial_encoder(session, self.encoder, self.now())
            payload = EmbedPayload(photo_ids=tuple(photos_to_queue(session)))
            accepting.accept(session, payload, job_id=uuid4(), now=self.now())

    def request_reindex(self) -> None:
        self.asked.append("reindex")
        with self.database.write() as session:
            accepting.accept(session, ReindexPayload(), job_id=uuid4(), now=self.now())

    def work(self) -> None:
        """Do what is queued."""
        embed_all(self.database, self.encoder, self.now())
        with self.database.write() as session:
            claims = claim_queued(session, JobType.REINDEX, self.now())
        for claim in claims:
            run_reindex(
                claim,
                ReindexPayload(),
                database=self.database,
                store=self.store,
                settings=IndexSettings(self.generations_dir, 0.1, 2**30, 2),
                heartbeat=Heartbeat(self.database, claim, LEASE, self.now),
                clock=self.now,
            )

    def live_folder(self) -> Path:
        with self.database.read() as session:
            active = active_encoder(session)
            assert active
            live = generations.live(session, active.id)
            assert live
            return self.generations_dir / str(live.id)

    def photo_path(self, digest: str) -> Path:
        return self.folder / "photos" / digest[:2] / digest[2:4] / f"{digest}.jpg"

    def stored(self) -> set[str]:
        prefixes = (self.store.list_prefix(prefix, self.now()) for prefix in PREFIXES)
        return {digest for prefix in prefixes for digest in prefix.digests}


@pytest.fixture
def world(any_database: Database, tmp_path: Path) -> World:
    """A machine in order: three photos listed, embedded and indexed."""
    made = World(any_database, PhotoStore(str(tmp_path / "photos")), tmp_path)
    made.list_photos(b"one", b"two")
    made.list_photos(b"two", b"three")
    made._queue_missing()
    made.work()
    made.request_reindex()
    made.work()
    made.asked.clear()
    return made


def of(result: Reconciliation, kind: Kind) -> Finding:
    return next(finding for finding in result.findings if finding.kind is kind)


def found(result: Reconciliation) -> dict[Kind, int]:
    """How many were found of the kinds that were."""
    return {finding.kind: finding.count for finding in result.findings if finding.count}


def test_a_machine_in_order(world: World) -> None:
    for result in (world.look(verify=True), world.repair(verify=True), world.look()):
        assert found(result) == {}
        assert result.consistent
        assert (result.photos, result.stored) == (3, 3)
    assert world.asked == []
    assert len(world.stored()) == 3


def test_a_machine_with_nothing_in_it(any_database: Database, tmp_path: Path) -> None:
    world = World(any_database, PhotoStore(str(tmp_path / "photos")), tmp_path)
    for result in (world.look(verify=True), world.repair()):
        assert found(result) == {}
        assert result.consistent
    assert world.asked == []


def test_a_missing_photo_is_told_and_comes_back_with_the_next_seed(world: World) -> None:
    gone = world.store.put(b"two")
    world.store.delete(gone)
    for result in (world.look(), world.repair()):
        assert found(result) == {Kind.MISSING_PHOTOS: 1}
        assert of(result, Kind.MISSING_PHOTOS).examples == (gone,)
        assert not result.consistent
    assert "seed" in EXPLANATIONS[Kind.MISSING_PHOTOS]
    world.store.put(b"two")
    assert world.look().consistent


def test_a_photo_that_no_listing_shows_need_not_be_there(world: World) -> None:
    listing_id = world.list_photos(b"four")
    world.unlist(listing_id)
    world.store.delete(world.store.put(b"four"))
    assert world.look().consistent


def test_a_damaged_photo_is_deleted_and_then_missing(world: World) -> None:
    digest = world.store.put(b"one")
    world.photo_path(digest).write_bytes(b"0ne")
    assert world.look().consistent

    seen = world.look(verify=True)
    assert found(seen) == {Kind.DAMAGED_PHOTOS: 1}
    assert of(seen, Kind.DAMAGED_PHOTOS).examples == (digest,)
    assert world.photo_path(digest).exists()

    repaired = world.repair(verify=True)
    assert found(repaired) == {Kind.DAMAGED_PHOTOS: 1, Kind.MISSING_PHOTOS: 1}
    assert of(repaired, Kind.DAMAGED_PHOTOS).remaining == 0
    assert not repaired.consistent

    world.store.put(b"one")
    assert world.look(verify=True).consistent


def test_a_photo_that_belongs_to_nothing_is_deleted_when_it_is_old(world: World) -> None:
    orphan = world.store.put(b"nobody's")
    kept = world.stored() - {orphan}
    assert world.repair().consistent
    assert orphan in world.stored()

    later = GRACE + timedelta(minutes=1)
    seen = world.look(later=later)
    assert found(seen) == {Kind.ORPHANED_PHOTOS: 1}
    assert of(seen, Kind.ORPHANED_PHOTOS).examples == (orphan,)
    assert not seen.consistent
    repaired = world.repair(later=later)
    assert of(repaired, Kind.ORPHANED_PHOTOS) == Finding(Kind.ORPHANED_PHOTOS, 1, 1, (orphan,))
    assert repaired.consistent
    assert world.stored() == kept
    assert found(world.repair(later=later)) == {}


def test_photos_with_a_row_or_a_job_are_not_orphans(world: World) -> None:
    world.unlist(world.list_photos(b"of a deleted listing"))
    names = (b"like", b"unlike", b"once", b"embedded", b"predicted")
    like, unlike, once, embedded, predicted = (world.store.put(data) for data in names)
    listing = uuid4()
    with world.database.write() as session:
        for payload in (
            SearchPayload(positive=(listing, like), negative=(unlike,), limit=3),
            SearchPayload(positive=(listing,), limit=3),
            EmbeddingPayload(photo=embedded),
            PredictionPayload(photo=predicted, top=3),
            PredictionPayload(listing_id=listing, top=3),
            DuplicatesPayload(),
        ):
            job = accepting.accept(session, payload, job_id=uuid4(), now=world.now())
            # It can be retried.
            cancelling.cancel(session, job.id, world.now())
        # As earlier releases stored a search.
        job = accepting.accept(
            session, SearchPayload(positive=(listing,), limit=3), job_id=uuid4(), now=world.now()
        )
        stored = {"photo": once, "limit": 3}
        session.execute(update(Job).where(Job.id == job.id).values(payload=stored))
    before = world.stored()
    world.repair(later=timedelta(days=1000))
    assert world.stored() == before


class BusyStore(PhotoStore):
    """A store into which somebody puts a photo again whenever it has just been listed."""

    def list_prefix(self, prefix: str, now: datetime) -> PrefixListing:
        listed = super().list_prefix(prefix, now)
        for digest in listed.digests:
            self.has(digest)
        return listed


def test_an_orphan_that_is_about_to_be_named_stays(world: World) -> None:
    orphan = world.store.put(b"about to be listed")
    os.utime(world.photo_path(orphan), (0, 0))
    assert found(world.look()) == {Kind.ORPHANED_PHOTOS: 1}
    world.store = BusyStore(str(world.folder / "photos"))
    assert found(world.repair()) == {}
    assert orphan in world.stored()


def test_leftovers_of_killed_writers_are_deleted(world: World) -> None:
    digest = world.store.put(b"one")
    leftover = world.photo_path(digest).with_name(".abcdefgh.part")
    leftover.write_bytes(b"half a pho")
    assert world.repair().consistent
    assert leftover.exists()

    later = timedelta(hours=2)
    seen = world.look(later=later)
    assert found(seen) == {Kind.LEFTOVERS: 1}
    assert of(seen, Kind.LEFTOVERS).examples == (str(leftover),)
    assert world.repair(later=later).consistent
    assert not leftover.exists()
    assert found(world.repair(later=later)) == {}


def test_photos_that_nobody_will_embed_are_queued(world: World) -> None:
    world.list_photos(b"four", b"five")
    seen = world.look()
    assert found(seen) == {Kind.UNEMBEDDED_PHOTOS: 2, Kind.CHANGES_SINCE_GENERATION: 2}
    assert not seen.consistent
    repaired = world.repair()
    assert of(repaired, Kind.UNEMBEDDED_PHOTOS).repaired == 2
    assert repaired.consistent
    assert Kind.UNEMBEDDED_PHOTOS not in found(world.repair())
    assert world.asked == ["embedding"]
    world.work()
    assert world.look().consistent


def test_a_photo_with_nothing_in_it_is_looked_at_once(
    any_database: Database, store: PhotoStore, tmp_path: Path, run_seed: RunSeed
) -> None:
    encoder = ThumbnailEncoder()
    world = World(any_database, store, tmp_path, encoder.spec)
    rows = [image_row(1, 1), image_row(2, 1), image_row(3, 2)]
    photos = {1: jpeg(1), 2: grey(), 3: jpeg(3)}
    folder = write_feed(tmp_path / "feed", [product_row(1), product_row(2)], rows, photos)
    assert run_seed(folder, any_database, encoder=encoder.spec).loaded.queued == 3
    embed_for_real(any_database, store, encoder, world.now())
    world.request_reindex()
    world.work()
    world.asked.clear()

    again = run_seed(folder, any_database, encoder=encoder.spec)

    assert (again.loaded.queued, again.jobs) == (0, [])
    for result in (world.look(verify=True), world.repair()):
        assert found(result) == {}
        assert result.consistent
    assert world.asked == []
    with any_database.read() as session:
        assert [row.rows for row in generations.all_generations(session, 9)] == [2]


def test_nothing_was_ever_embedded(any_database: Database, tmp_path: Path) -> None:
    world = World(any_database, PhotoStore(str(tmp_path / "photos")), tmp_path)
    world.list_photos(b"one")
    assert found(world.look()) == {Kind.UNEMBEDDED_PHOTOS: 1}
    world.repair()
    world.work()
    assert found(world.look()) == {Kind.MISSING_GENERATION: 1}


def test_embeddings_that_no_listing_shows_are_no_difference(world: World) -> None:
    world.unlist(world.list_photos(b"four"))
    listing_id = world.list_photos(b"five")
    world.repair()
    world.work()
    world.unlist(listing_id)
    for result in (world.look(), world.repair()):
        assert of(result, Kind.UNSHOWN_EMBEDDINGS).count == 1
        assert of(result, Kind.CHANGES_SINCE_GENERATION).count > 0
        assert result.consistent
    assert world.asked == ["embedding"]


def test_a_missing_generation_is_asked_for(world: World) -> None:
    with world.database.write() as session:
        session.execute(update(Generation).values(status=GenerationStatus.REMOVED))
    shutil.rmtree(world.generations_dir)
    seen = world.look()
    assert found(seen) == {Kind.MISSING_GENERATION: 1}
    assert not seen.consistent
    assert world.repair().consistent
    # It is promised now, so that nothing more is asked for.
    assert found(world.repair()) == {}
    assert world.asked == ["reindex"]
    world.work()
    assert found(world.look()) == {}


def flip_a_byte(folder: Path) -> None:
    path = folder / "index.faiss"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def forge(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (shutil.rmtree, "missing"),
        (lambda folder: (folder / "ids.npy").unlink(), "ids.npy is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (flip_a_byte, "index.faiss is not the file"),
        (forge, "manifest.json is not the manifest"),
    ],
)
def test_a_damaged_generation_is_replaced(
    world: World, damage: Callable[[Path], object], problem: str
) -> None:
    damage(world.live_folder())
    seen = world.look()
    assert found(seen) == {Kind.DAMAGED_GENERATION: 1}
    assert problem in of(seen, Kind.DAMAGED_GENERATION).examples[0]
    assert not seen.consistent
    assert world.repair().consistent
    assert found(world.repair()) == {}
    assert world.asked == ["reindex"]
    world.work()
    assert found(world.look()) == {}


def test_a_reindex_that_somebody_else_asks_for_is_as_good(world: World) -> None:
    flip_a_byte(world.live_folder())

    def too_late() -> None:
        raise ReindexRunning("A reindex is already queued or running.")

    result = reconcile(
        world.machine,
        now=world.now(),
        repairs=Repairs(list, too_late),
        verify=False,
        on_progress=lambda *_: None,
    )
    assert result.consistent


def test_folders_without_a_use_are_deleted(world: World) -> None:
    live = world.live_folder()
    with world.database.write() as session:
        encoder_id = register_encoder(session, ENCODER, world.now())
        rows = {
            status: Generation(encoder_id=encoder_id, status=status, created_at=world.now())
            for status in GenerationStatus
            if status is not GenerationStatus.LIVE
        }
        session.add_all(rows.values())
        session.flush()
        ids = {status: row.id for status, row in rows.items()}
    building, retired = ids[GenerationStatus.BUILDING], ids[GenerationStatus.RETIRED]
    in_use = {live.name, str(building), f".{building}.77-0123abcd", str(retired)}
    others = {"notes", "12.old", ".12", "lost+found"}
    orphans = {
        "999",
        ".999.77-0123abcd",
        f".{live.name}.77-0123abcd",
        str(ids[GenerationStatus.REMOVED]),
        str(ids[GenerationStatus.FAILED]),
        str(ids[GenerationStatus.REFUSED]),
        f".{ids[GenerationStatus.FAILED]}.77-0123abcd",
    }
    for name in (in_use | others | orphans) - {live.name}:
        (world.generations_dir / name).mkdir()
        (world.generations_dir / name / "index.faiss").write_bytes(b"x")

    seen = world.look()
    assert found(seen) == {Kind.ORPHANED_GENERATIONS: len(orphans)}
    assert not seen.consistent
    assert world.repair().consistent
    assert {path.name for path in world.generations_dir.iterdir()} == in_use | others
    assert found(world.repair()) == {}


def test_a_folder_that_is_open_stays_and_is_no_difference(world: World) -> None:
    live = world.live_folder()
    with world.database.write() as session:
        session.execute(update(Generation).values(status=GenerationStatus.REMOVED))
    with holding_open(live):
        assert Kind.ORPHANED_GENERATIONS not in found(world.repair())
        assert live.exists()
    assert of(world.repair(), Kind.ORPHANED_GENERATIONS).repaired == 1
    assert not live.exists()


def test_a_generation_that_is_published_need_not_be_here(world: World) -> None:
    live = world.live_folder()
    world.store = PhotoStore(f"memory://{uuid4()}/photos")
    world.list_photos(b"one", b"two", b"three")
    publish_generation(world.store, live, int(live.name))
    shutil.rmtree(live)
    assert found(world.look()).keys() <= INFORMATIONAL | {Kind.UNEMBEDDED_PHOTOS}
    world.store.files.write(f"generations/{live.name}/manifest.json", b"{}")
    seen = of(world.look(), Kind.DAMAGED_GENERATION)
    assert "published manifest" in seen.examples[0]


def test_what_is_published_and_not_kept_is_deleted(world: World) -> None:
    live = world.live_folder()
    world.store = PhotoStore(f"memory://{uuid4()}/photos")
    for number in (int(live.name), 999):
        publish_generation(world.store, live, number)
    seen = of(world.look(), Kind.ORPHANED_GENERATIONS)
    assert (seen.count, seen.examples) == (1, ("published generation 999",))
    assert published_generations(world.store) == {int(live.name), 999}
    assert of(world.repair(), Kind.ORPHANED_GENERATIONS).repaired == 1
    assert published_generations(world.store) == {int(live.name)}


def test_what_one_encoder_that_is_kept_up_to_date_lacks_is_found(world: World) -> None:
    with world.database.write() as session:
        first = register_encoder(session, ENCODER, world.now())
        other = register_encoder(session, replace(ENCODER, fingerprint="b" * 64), world.now())
    assert found(world.look()) == {}
    with world.database.write() as session:
        activate_encoder(session, other, world.now(), force=True)
    # It has embedded nothing, so that no index of it is missing.
    assert found(world.look()) == {Kind.UNEMBEDDED_PHOTOS: 3}
    with world.database.write() as session:
        activate_encoder(session, first, world.now())
    assert found(world.look()) == {Kind.UNEMBEDDED_PHOTOS: 3}
    with world.database.write() as session:
        retire_encoder(session, other)
    assert found(world.look()) == {}


def test_a_store_that_can_not_be_read_is_an_error(any_database: Database, tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("in the way")
    world = World(any_database, PhotoStore(str(tmp_path / "photos")), tmp_path)
    with pytest.raises(Unavailable):
        world.repair()


def test_examples_are_few_and_counts_are_whole(world: World) -> None:
    for number in range(30):
        os.utime(world.photo_path(world.store.put(f"orphan {number}".encode())), (0, 0))
    finding = of(world.look(), Kind.ORPHANED_PHOTOS)
    assert finding.count == 30
    assert 0 < len(finding.examples) < 10
    assert world.repair().consistent
    assert len(world.stored()) == 3


def test_progress_reaches_its_end(world: World) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    reconcile(
        world.machine,
        now=world.now(),
        repairs=None,
        verify=False,
        on_progress=lambda name, done, total: seen.setdefault(name, []).append((done, total)),
    )
    for steps in seen.values():
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]
    assert len(seen["photos"]) > 200


def test_the_result_is_json(world: World) -> None:
    world.store.delete(world.store.put(b"one"))
    values = json.loads(json.dumps(world.look().to_json()))
    assert json.loads(json.dumps(values)) == values
    assert values["consistent"] is False
    assert values["findings"].keys() == {kind.value for kind in Kind}
    missing = values["findings"]["missing_photos"]
    assert (missing["count"], missing["repaired"], missing["remaining"]) == (1, 0, 1)
    assert EXPLANATIONS.keys() == set(Kind) > INFORMATIONAL
