"""What names an erased listing or user elsewhere is taken out, and nothing else is."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from threading import Event as Stop
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import func, select, text

from db.catalogue.columns import columns_of
from db.catalogue.listing_photos import PhotoData
from db.catalogue.listings import ListingData, views_of
from db.catalogue.places import store_places
from db.events.tables import Event, ListingPopularity
from db.events.users import user_key
from db.idempotency import Answer, KeyedRequest, claim_key, complete_claim
from db.jobs import accepting, attempts, claiming
from db.retention.erasures import ErasureKind, erase_listing, erase_user
from db.retention.tables import Erasure
from db.saved_searches.matches import NewMatch, add_matches
from db.saved_searches.tables import SavedSearch, SavedSearchMatch
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Embedding, Generation, IdempotencyKey, Job, Listing, Photo, Place
from db.vectors import generations
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.columns.snapshot import Origin, load_columns, save_columns
from models.domain.clock import utc_now
from models.domain.cursors import Cursor
from models.domain.errors import NotFound
from models.domain.job_payloads import (
    EmbedPayload,
    JobPayload,
    PhotosToFetch,
    PredictionPayload,
    SearchPayload,
)
from models.domain.job_results.base import JobResult
from models.domain.job_results.embeddings import BatchResult
from models.domain.job_results.parse import parse_result
from models.domain.recommendations.events import EventKind
from models.domain.types import EncoderSpec, GenerationStatus, JobStatus, JobType, ListingMatch
from tests.support.catalogue import add_listing
from tests.support.clock import Clock
from tests.support.events import event
from tests.support.events import store as store_events
from tests.support.saved_searches import save
from tests.support.traces import in_files, in_rows
from workers.indexes.live_columns import LiveColumns
from workers.retention.erasing import Places, Unfinished, finish_erasures
from workers.retention.steps import Pace

ERASED, KEPT = UUID(int=0x1D6C3A5E9B7F4820A4C6E8135792BD0F), UUID(int=2)
PLACE = "Privet Drive, Surrey"


class Site:
    """Two listings with a photo each, and one that both show."""

    def __init__(self, database: Database, folder: Path, clock: Clock) -> None:
        self.database, self.clock, self.folder = database, clock, folder
        self.places = Places(
            PhotoStore(folder / "photos"), folder / "generations", folder / "columns" / "listings"
        )
        self.own, self.shared, self.other = (
            PhotoData(self.places.store.put(name), 3, 4) for name in (b"own", b"shared", b"other")
        )
        with database.write() as session:
            encoder = activate_initial_encoder(session, EncoderSpec("hog", 2, "f" * 64), clock())
            self.encoder_id = encoder.id
            _, ids = add_listing(
                session,
                [self.own, self.shared],
                clock(),
                listing=ListingData(ERASED, "Zither", location=PLACE, seller="Zoe"),
            )
            _, more = add_listing(
                session, [self.shared, self.other], clock(), listing=ListingData(KEPT, "Kettle")
            )
            vector = np.array([1, 0], np.float32)
            add_embeddings(session, self.encoder_id, dict.fromkeys([*ids, *more], vector))

    def finish(self, *, rebuild: bool = False) -> list[Unfinished]:
        pace = Pace(self.database, self.clock, Stop(), rest_s=0.0)
        kinds = [ErasureKind.LISTING, ErasureKind.USER]
        return finish_erasures(pace, self.places, kinds, rebuild=rebuild)

    def erase(self) -> None:
        with self.database.write() as session:
            erase_listing(session, ERASED, self.clock())

    def accept(self, payload: JobPayload, result: JobResult | dict[str, object] | None) -> UUID:
        """Accept a job, which ends with a result if one is given."""
        job_id = uuid4()
        with self.database.write() as session:
            accepting.accept(session, payload, job_id=job_id, now=self.clock())
            if result is not None:
                owned = claiming.claim(session, job_id, self.clock(), timedelta(minutes=1))
                assert owned is not None
                parsed = (
                    parse_result(payload.job_type, result) if isinstance(result, dict) else result
                )
                attempts.finish(session, owned, self.clock(), result=parsed)
        return job_id

    def job(self, job_id: UUID) -> Job | None:
        with self.database.read() as session:
            return session.get(Job, job_id)

    def left(self) -> list[str]:
        traces: list[str | UUID | bytes] = [ERASED, self.own.sha256, "zither", "Privet", "Zoe"]
        return [*in_rows(self.database, traces), *in_files(self.folder, traces)]


@pytest.fixture
def site(any_database: Database, tmp_path: Path, clock: Clock) -> Site:
    return Site(any_database, tmp_path, clock)


def shown(listing_id: UUID, photo: str) -> dict[str, object]:
    return {
        "listing_id": str(listing_id),
        "title": "Zither" if listing_id == ERASED else "Kettle",
        "price": None,
        "currency": None,
        "category": None,
        "location": None,
        "attributes": {},
        "photo": photo,
        "similarity": 0.5,
    }


def found(site: Site, listings: Sequence[UUID]) -> dict[str, object]:
    return {
        "generation": None,
        "encoder": "hog",
        "fingerprint": "f" * 64,
        "exact": True,
        "took_ms": {"total": 1.0},
        "results": [shown(one, site.own.sha256 if one == ERASED else "0" * 64) for one in listings],
        "next_cursor": Cursor(uuid4(), "f", ListingMatch(listings[-1], 1, 0.5)).encode(),
    }


def count(database: Database, table: type) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_listing_leaves_with_its_photos_vectors_and_words(site: Site) -> None:
    site.erase()
    with site.database.read() as session:
        assert set(views_of(session, [ERASED, KEPT])) == {KEPT}
        assert set(session.scalars(select(Photo.sha256))) == {
            site.shared.sha256,
            site.other.sha256,
        }
        assert session.scalar(select(func.count()).select_from(Embedding)) == 2
        assert session.scalar(text("SELECT count(*) FROM text_words WHERE word = 'zither'")) == 0
    assert site.finish() == []
    assert site.left() == []
    store = site.places.store
    assert [store.has(one.sha256) for one in (site.own, site.shared, site.other)] == [
        False,
        True,
        True,
    ]
    with site.database.read() as session:
        row = session.scalars(select(Erasure)).one()
        assert (row.kind, row.listings, row.photos, row.pending) == ("listing", 1, 1, None)
    with pytest.raises(NotFound), site.database.write() as session:
        erase_listing(session, ERASED, site.clock())


def test_what_jobs_say_of_it_is_taken_out(site: Site) -> None:
    about = site.accept(SearchPayload(positive=(ERASED,), limit=1), found(site, [KEPT]))
    with_photo = site.accept(SearchPayload(positive=(site.own.sha256,), limit=1), None)
    both = site.accept(SearchPayload(positive=("0" * 64,), limit=2), found(site, [KEPT, ERASED]))
    alone = site.accept(SearchPayload(text="thing", limit=1), found(site, [ERASED]))
    following = SearchPayload(
        text="thing", limit=1, cursor=str(found(site, [ERASED])["next_cursor"])
    )
    next_page = site.accept(following, found(site, [KEPT]))
    batch = BatchResult(rows=2, accepted=2, listing_ids=(ERASED, KEPT), errors=())
    with site.database.write() as session:
        accepting.accept_batch(session, batch, job_id=UUID(int=7), now=site.clock(), total=1)
    wanted = PhotosToFetch(listing_id=ERASED, photos=("https://example.org/zither.jpg",))
    fetching = uuid4()
    with site.database.write() as session:
        payload = EmbedPayload(photo_ids=(1,), fetch=wanted)
        accepting.accept(
            session, payload, job_id=fetching, now=site.clock(), total=1, parent_id=UUID(int=7)
        )
    unrelated = site.accept(PredictionPayload(listing_id=KEPT, top=1), None)
    site.erase()

    # Somebody waits for the job about the photo.
    (unfinished,) = site.finish()
    assert "asked about" in unfinished.reasons[0] or "running" in unfinished.reasons[0]
    assert site.job(about) is None
    assert site.job(next_page) is None
    kept = site.job(both)
    assert kept is not None
    assert kept.result is not None
    assert [one["listing_id"] for one in kept.result["results"]] == [str(KEPT)]  # type: ignore[attr-defined]
    assert kept.result["next_cursor"] is None
    emptied = site.job(alone)
    assert emptied is not None
    assert emptied.result is not None
    assert emptied.result["results"] == []
    parent, child, other = site.job(UUID(int=7)), site.job(fetching), site.job(unrelated)
    assert parent is not None
    assert parent.result == {"rows": 2, "accepted": 2, "listing_ids": [str(KEPT)], "errors": []}
    assert parent.status is JobStatus.FAILED
    assert child is not None
    assert child.status is JobStatus.CANCELLED
    assert child.payload == {"photo_ids": [1]}
    assert other is not None
    assert other.status is JobStatus.QUEUED

    with site.database.write() as session:
        owned = claiming.claim(session, with_photo, site.clock(), timedelta(minutes=1))
        assert owned is not None
        answer = parse_result(JobType.SEARCH, found(site, [KEPT]))
        attempts.finish(session, owned, site.clock(), result=answer)
    assert site.finish() == []
    assert site.job(with_photo) is None
    assert site.left() == []


def test_a_job_that_runs_may_have_read_it_before(site: Site) -> None:
    job_id = site.accept(SearchPayload(text="thing", limit=1), None)
    with site.database.write() as session:
        owned = claiming.claim(session, job_id, site.clock(), timedelta(minutes=1))
    assert owned is not None
    site.erase()
    assert "running" in site.finish()[0].reasons[0]
    with site.database.write() as session:
        answer = parse_result(JobType.SEARCH, found(site, [ERASED]))
        attempts.finish(session, owned, site.clock(), result=answer)
    assert site.finish() == []
    assert site.left() == []


def test_events_answers_places_and_saved_searches_forget_it(site: Site) -> None:
    database = site.database
    kinds = [EventKind.VIEWED, EventKind.IMPRESSION, EventKind.HIDDEN]
    batch = [
        event(f"{user} {kind} {listing}", user, listing, site.clock(), kind)
        for user in ("ann", "bob", "cy")
        for kind in kinds
        for listing in (ERASED.int, KEPT.int)
    ]
    store_events(database, batch, site.clock())
    named = save(database, ERASED, KEPT)
    alone = save(database, ERASED)
    with database.write() as session:
        numbers = {row.id: row.number for row in session.scalars(select(SavedSearch))}
        matches = [
            NewMatch(numbers[named], one, 1, 0.9, has_webhook=True) for one in (ERASED, KEPT)
        ]
        add_matches(session, matches, site.clock())
        store_places(session, {PLACE: None, "Poole": None}, site.clock())
        for key, listing in (("one", ERASED), ("two", KEPT)):
            request = KeyedRequest("", key, "f" * 64)
            claim = claim_key(session, request, uuid4(), site.clock())
            assert claim is not None
            answer = Answer(202, body={"listing_id": str(listing)})
            complete_claim(session, claim, answer, site.clock())
    site.erase()
    with database.read() as session:
        assert set(session.scalars(select(ListingPopularity.listing_number))) == {2}
        # At once: a webhook would tell of it.
        assert list(session.scalars(select(SavedSearchMatch.listing_id))) == [KEPT]
    assert site.finish() == []
    with database.read() as session:
        assert set(session.scalars(select(Event.listing_number))) == {2}
        assert list(session.scalars(select(IdempotencyKey.key))) == ["two"]
        assert list(session.scalars(select(Place.name))) == ["Poole"]
        (search,) = session.scalars(select(SavedSearch))
    assert search.id == named
    assert alone != named
    assert search.payload["positive"] == [str(KEPT)]
    assert site.left() == []


def test_generations_that_hold_it_go_with_the_next_build(site: Site) -> None:
    def build() -> int:
        with site.database.write() as session:
            built = generations.begin(session, site.encoder_id, None, site.clock())  # type: ignore[arg-type]
        folder = site.places.generations_dir / str(built.id)
        folder.mkdir(parents=True)
        (folder / "vectors.f16").write_bytes(b"zither")
        with site.database.write() as session:
            generations.activate(session, built.id, site.clock(), last_change=1)
        return built.id

    first, second = build(), build()
    site.erase()
    reasons = [reason for one in site.finish() for reason in one.reasons]
    assert reasons == ["the index is to be rebuilt without it"]
    assert not (site.places.generations_dir / str(first)).exists()
    assert count(site.database, Job) == 0
    site.clock.advance(days=1, seconds=1)
    site.finish()
    site.finish()
    with site.database.read() as session:
        (reindex,) = session.scalars(select(Job))
    assert reindex.payload == {"encoder_id": site.encoder_id}
    third = build()
    (site.places.generations_dir / str(third) / "vectors.f16").write_bytes(b"")
    assert site.finish() == []
    assert not (site.places.generations_dir / str(second)).exists()
    assert site.left() == []


def test_with_rebuild_the_index_is_asked_for_at_once(site: Site) -> None:
    with site.database.write() as session:
        built = generations.begin(session, site.encoder_id, None, site.clock())  # type: ignore[arg-type]
        generations.activate(session, built.id, site.clock(), last_change=1)
    site.erase()
    site.finish(rebuild=True)
    with site.database.read() as session:
        assert [job.type for job in session.scalars(select(Job))] == [JobType.REINDEX]
        assert session.scalars(select(Generation.status)).one() is GenerationStatus.LIVE


def test_the_file_of_columns_is_written_anew(site: Site) -> None:
    file = site.places.columns_file
    file.parent.mkdir()
    with site.database.read() as session:
        columns = columns_of(session)
    save_columns(file, columns, Origin("", ""))
    following = LiveColumns(site.database, None)
    following.wait()
    site.erase()
    with site.database.read() as session:
        now = following.sync(session)
    following.close()
    assert now is not None
    assert now.listings == 1
    assert b"Zoe" in file.read_bytes()
    assert site.finish() == []
    assert not file.exists()
    with site.database.read() as session:
        save_columns(file, columns_of(session), Origin("", ""))
    assert site.finish() == []
    assert load_columns(file)[0].listings == 1


def test_the_number_of_an_erased_listing_is_not_given_again(site: Site) -> None:
    with site.database.write() as session:
        erase_listing(session, KEPT, site.clock())
    with site.database.write() as session:
        add_listing(session, [], site.clock(), listing=ListingData(UUID(int=3), "New"))
    with site.database.read() as session:
        assert session.scalars(select(Listing.number).where(Listing.id == UUID(int=3))).one() == 3


def test_a_photo_that_was_just_used_is_kept_for_who_may_be_about_to_name_it(site: Site) -> None:
    site.erase()
    store = site.places.store
    site.clock.now = utc_now()
    assert "within the last hour" in site.finish()[0].reasons[0]
    assert store.has(site.own.sha256)
    site.clock.advance(hours=1.1)
    assert site.finish() == []
    assert not store.has(site.own.sha256)


def test_a_user_leaves_with_what_they_asked_and_its_photos(site: Site) -> None:
    database = site.database
    batch = [event(f"{user}", user, KEPT.int, site.clock()) for user in ("ann", "bob")]
    store_events(database, batch, site.clock())
    asked = site.places.store.put(b"asked with")
    both = site.places.store.put(b"asked by both")
    with database.read() as session:
        keys = {user: user_key(session, user).hex() for user in ("ann", "bob")}
    for photos, user in (((asked, both), "ann"), ((both,), "bob")):
        payload = SearchPayload(positive=photos, limit=1, user=keys[user])
        site.accept(payload, found(site, [KEPT]))
    with database.write() as session:
        erase_user(session, "ann", site.clock())
    site.finish()
    assert not site.places.store.has(asked)
    assert site.places.store.has(both)
    assert count(database, Event) == 1
    assert list(in_rows(database, [keys["ann"], bytes.fromhex(keys["ann"]), asked])) == []
