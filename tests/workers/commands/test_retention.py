"""`marketlens retention` and `marketlens erase`, as a person runs them."""

import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from db.access.tables import AuditEntry
from db.catalogue.listing_photos import PhotoData
from db.catalogue.listings import ListingData, delete_listing
from db.events.store import NewEvent, store_events
from db.events.tables import Event
from db.jobs import accepting
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Job, Listing
from models.domain.clock import utc_now
from models.domain.errors import InvalidInput, NotFound
from models.domain.job_payloads import SearchPayload
from models.domain.recommendations.events import EventKind
from models.domain.types import JobStatus
from tests.support.catalogue import add_listing
from tests.support.commands import invoke, last_line
from tests.support.traces import in_files
from workers.commands.retention import erase, now
from workers.retention.kinds import EXPLANATIONS, Kind
from workers.retention.run import EVERY_S

LISTING = UUID(int=0x1D6C3A5E9B7F4820A4C6E8135792BD0F)


@pytest.fixture
def folder(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a listing, a deleted one, jobs that have had their time, and files."""
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(now, "REST_S", 0.0)
    store = PhotoStore(tmp_path / "photos")
    long_ago = utc_now() - timedelta(days=40)
    with database.write() as session:
        for data in (ListingData(LISTING, "Zither"), ListingData(UUID(int=2), "Kettle")):
            photo = PhotoData(store.put(data.title.encode()), 3, 4)
            add_listing(session, [photo], long_ago, listing=data)
        delete_listing(session, UUID(int=2), long_ago)
        event = NewEvent("one", "ann", EventKind.VIEWED, LISTING, utc_now())
        store_events(session, [event], utc_now())
        for n in range(5):
            payload = SearchPayload(positive=(store.put(bytes([n])),), limit=1)
            accepting.accept(session, payload, job_id=uuid4(), now=long_ago)
    with database.write() as session:
        session.execute(update(Job).values(status=JobStatus.SUCCEEDED, finished_at=long_ago))
    week_ago = time.time() - 7 * 86_400
    for path in (tmp_path / "photos").rglob("*.jpg"):
        os.utime(path, (week_ago, week_ago))
    return tmp_path


def count_of(database: Database, table: type) -> int:
    with database.read() as session:
        return len(session.scalars(select(table)).all())


def test_each_kind_is_explained_and_looked_for() -> None:
    assert set(EXPLANATIONS) == set(Kind) == set(EVERY_S)


def test_a_dry_run_says_what_would_leave_and_changes_nothing(
    folder: Path, database: Database
) -> None:
    before = count_of(database, Job), len(list((folder / "photos").rglob("*")))
    report = last_line(invoke("retention", "--dry-run", "--json"))
    assert report["dry_run"] is True
    assert report["removed"]["jobs"]["count"] == 4
    assert report["removed"]["jobs"]["bytes"] > 4 * 64
    assert report["removed"]["deleted_listings"]["count"] == 1
    assert (count_of(database, Job), len(list((folder / "photos").rglob("*")))) == before
    told = invoke("retention", "--dry-run").stdout
    assert "Would leave" in told
    assert "ended jobs" in told


def test_what_has_had_its_time_is_removed_now(folder: Path, database: Database) -> None:
    report = last_line(invoke("retention", "--json", "--vacuum"))["removed"]
    assert report["jobs"]["count"] == 4
    assert report["deleted_listings"]["count"] == 1
    # Those of the four jobs, and of the deleted listing.
    assert report["photo_files"]["count"] == 5
    assert count_of(database, Job) == 1
    assert len(list((folder / "photos").rglob("*.jpg"))) == 2
    again = invoke("retention")
    assert "Nothing has had its time." in again.stdout


def test_a_listing_is_erased_with_every_trace(folder: Path, database: Database) -> None:
    report = last_line(invoke("erase", "listing", LISTING, "--json"))
    assert report == {"listings": 1, "photos": 1, "finished": True, "left": []}
    assert list(in_files(folder, [LISTING, "zither"])) == []
    assert count_of(database, Event) == 0
    with database.read() as session:
        (entry,) = session.scalars(select(AuditEntry))
        assert (entry.action, entry.details, entry.result) == ("erase listing", {}, "done")
    assert isinstance(invoke("erase", "listing", LISTING).exception, NotFound)
    assert isinstance(invoke("erase", "listing", "zither").exception, InvalidInput)


@pytest.mark.usefixtures("folder")
def test_a_user_is_erased(database: Database) -> None:
    told = invoke("erase", "user", "ann")
    assert told.exit_code == 0
    assert "The user is erased" in told.stdout
    assert count_of(database, Event) == 0
    assert count_of(database, Listing) == 2
    assert isinstance(invoke("erase", "user", "a" * 1_000).exception, InvalidInput)


def test_it_is_said_what_is_left_for_now(
    folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "WAITED_S", 0.0)
    with database.write() as session:
        running = update(Job).values(status=JobStatus.RUNNING, started_at=utc_now())
        session.execute(running)
    assert PhotoStore(folder / "photos").has(next(iter(photos_of(folder, b"Zither"))))
    told = invoke("erase", "listing", LISTING)
    assert told.exit_code == 0
    assert "Traces are left for now: a job is running that may have read it" in told.stdout
    assert "within the last hour" in told.stdout


def photos_of(folder: Path, data: bytes) -> list[str]:
    found = [path for path in (folder / "photos").rglob("*.jpg") if path.read_bytes() == data]
    return [path.stem for path in found]
