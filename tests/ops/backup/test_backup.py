"""Snapshots have everything, once, and are restored as they were."""

import os
import stat
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from db.catalogue.listing_photos import PhotoData
from db.catalogue.listings import ListingData, delete_listing
from db.session import Database
from db.store.holds import HELD_FOR, held, is_held
from db.store.photo_store import GRACE, PhotoStore
from models.domain.clock import utc_now
from models.domain.errors import Conflict, NotFound, SetupError
from ops.backup.create import back_up
from ops.backup.destination import Destination
from ops.backup.keep import keep_newest
from ops.backup.verify import problems_of
from tests.support.catalogue import add_listing
from tests.support.clock import Clock
from tests.support.deployments import (
    LISTINGS,
    Place,
    backed_up,
    contents,
    files_in,
    photo,
    quiet,
    restored,
)


def silent(*_: object) -> None:
    """Draws no bar."""


def test_everything_is_as_it_was(source: Place, target: Place, destination: Path) -> None:
    manifest = backed_up(source.deployment, destination)
    assert manifest.photos == LISTINGS + 1
    assert manifest.generations == (1,)
    assert manifest.encoder == "hog-dddddddd"
    assert problems_of(Destination(str(destination)), manifest, silent) == []
    restored(target, destination)
    expected = contents(source.deployment)
    assert contents(target.deployment) == expected
    # A generation that was built after the snapshot may have had the next number.
    with closing(Database(target.database_url)) as database, database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO generations (encoder_id, status, created_at)"
            " VALUES (1, 'failed', '2030-01-01 00:00:00.000000')"
        )
        highest = connection.exec_driver_sql("SELECT max(id) FROM generations").scalar_one()
    assert highest > 1_000


def test_a_second_snapshot_adds_what_is_new(sqlite_source: Place, destination: Path) -> None:
    first = backed_up(sqlite_source.deployment, destination)
    before = files_in(destination)
    with closing(Database(sqlite_source.database_url)) as database, database.write() as session:
        digest = sqlite_source.deployment.store.put(photo(50))
        add_listing(session, [PhotoData(digest, 3, 4)])
    second = backed_up(sqlite_source.deployment, destination)
    assert (second.photos, second.photo_bytes_added) == (first.photos + 1, len(photo(50)))
    added = files_in(destination).keys() - before.keys()
    # A photo, a database, a list of photos, and a manifest with its hash.
    assert len(added) == 5, added
    assert Destination(str(destination)).snapshots() == sorted([first.id, second.id])


def test_files_are_for_their_owner_only(source: Place, target: Place, destination: Path) -> None:
    backed_up(source.deployment, destination)
    restored(target, destination)
    for folder in (destination, target.folder):
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "up.lock":
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(destination.stat().st_mode) == 0o700


def test_old_snapshots_go_with_what_only_they_have(sqlite_source: Place, destination: Path) -> None:
    at = Destination(str(destination))
    backed_up(sqlite_source.deployment, destination)
    with closing(Database(sqlite_source.database_url)) as database, database.write() as session:
        delete_listing(session, UUID(int=0), Clock()())
        session.connection().exec_driver_sql("DELETE FROM jobs WHERE type = 'search'")
    newest = backed_up(sqlite_source.deployment, destination)
    gone, kept = sha256(photo(99)).hexdigest(), sha256(photo(1)).hexdigest()

    # What is young may be of a snapshot that is being written.
    removed = keep_newest(at, 1, utc_now(), silent)
    assert (len(removed.snapshots), removed.files, removed.photos) == (1, 0, 0)
    assert at.photos.has(gone)
    later = utc_now() + GRACE + timedelta(hours=1)
    with at.being_written("20300101T000000Z", later):
        os.utime(destination / "writing" / "20300101T000000Z", (later.timestamp(),) * 2)
        removed = keep_newest(at, 1, later, silent)
        assert removed.why_not is not None
        assert removed.photos == 0
    removed = keep_newest(at, 1, later, silent)
    assert removed.photos == 1
    # The first one's database and list of photos.
    assert removed.files == 2
    assert not at.photos.has(gone)
    assert at.photos.has(kept)
    assert problems_of(at, at.read(newest.id), silent) == []


def test_nothing_is_removed_while_a_snapshot_that_is_kept_is_damaged(
    sqlite_source: Place, destination: Path
) -> None:
    at = Destination(str(destination))
    manifest = backed_up(sqlite_source.deployment, destination)
    (destination / "snapshots" / manifest.id / "manifest.json").write_text("{}")
    removed = keep_newest(at, 1, utc_now() + GRACE * 2, silent)
    assert removed.why_not is not None
    assert at.photos.has(sha256(photo(1)).hexdigest())


def test_a_photo_that_is_not_in_the_store_is_told(
    sqlite_source: Place, target: Place, destination: Path
) -> None:
    missing, damaged = (sha256(photo(n)).hexdigest() for n in (1, 2))
    store = sqlite_source.deployment.store
    store.delete(missing)
    path = next((sqlite_source.folder / "photos").rglob(f"{damaged}.jpg"))
    path.write_bytes(b"something else")
    said: list[str] = []
    manifest = back_up(sqlite_source.deployment, Destination(str(destination)), quiet(said.append))
    assert manifest.absent == 2
    assert [missing in said[0], damaged in said[1]] == [True, True]
    restored(target, destination)
    assert not target.deployment.store.has(missing)


def test_damaged_photos_of_earlier_snapshots_are_mended_when_asked_for(
    sqlite_source: Place, destination: Path
) -> None:
    at = Destination(str(destination))
    backed_up(sqlite_source.deployment, destination)
    path = next((destination / "photos").rglob(f"{sha256(photo(1)).hexdigest()}.jpg"))
    path.write_bytes(b"something else")
    assert problems_of(at, backed_up(sqlite_source.deployment, destination), silent)
    back_up(sqlite_source.deployment, at, quiet(), recheck=True)
    assert problems_of(at, at.read(at.newest()), silent) == []


def test_only_an_empty_machine_is_restored_to(
    source: Place, target: Place, destination: Path
) -> None:
    backed_up(source.deployment, destination)
    restored(target, destination)
    with closing(Database(target.database_url)) as database, database.write() as session:
        add_listing(session, [], listing=ListingData(UUID(int=77), "Posted since"))
    before = contents(target.deployment)
    with pytest.raises(Conflict, match="--replace"):
        restored(target, destination)
    assert contents(target.deployment) == before
    restored(target, destination, replace=True)
    assert contents(target.deployment) == contents(source.deployment)


def test_a_snapshot_of_a_later_release_is_refused(
    sqlite_source: Place, target: Place, destination: Path
) -> None:
    with closing(Database(sqlite_source.database_url)) as database, database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    backed_up(sqlite_source.deployment, destination)
    with pytest.raises(SetupError, match="later release"):
        restored(target, destination)
    assert files_in(target.folder) == {}


def test_what_does_not_exist_is_said(destination: Path) -> None:
    at = Destination(str(destination))
    with pytest.raises(NotFound, match="no snapshot in"):
        at.newest()
    for name in ("../../etc", "20300101T000000Z"):
        with pytest.raises(NotFound, match="no snapshot"):
            at.read(name)


def test_a_hold_keeps_photos_and_ends(store: PhotoStore) -> None:
    digest = store.put(b"photo")
    later = utc_now() + GRACE * 2
    with held(store.files, lambda: later):
        assert not store.delete_old(digest, later)
        # Its process is killed: nobody renews it.
        name = next(iter(store.files.names_in("holds")))
        left = store.files.read(f"holds/{name}")
    assert not is_held(store.files, later)
    store.files.write(f"holds/{name}", left)
    assert not store.delete_old(digest, later + HELD_FOR - timedelta(seconds=1))
    assert store.delete_old(digest, later + HELD_FOR)
    assert store.files.names_in("holds") == set()


def test_snapshots_at_the_same_moment_are_two(
    sqlite_source: Place, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    monkeypatch.setattr("tests.support.deployments.utc_now", lambda: now)
    ids = {backed_up(sqlite_source.deployment, destination).id for _ in range(2)}
    assert len(ids) == 2
