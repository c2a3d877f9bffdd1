"""Retention in the relay goes on whatever breaks, and at its intervals."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event as Stop
from threading import Thread
from uuid import UUID

import pytest
from sqlalchemy import select, text

from db.catalogue.listings import ListingData
from db.retention.erasures import erase_listing
from db.retention.tables import Erasure
from db.session import Database
from db.store.photo_store import PhotoStore
from tests.support.catalogue import add_listing
from tests.support.clock import Clock
from tests.support.waiting import OneRound, wait_until
from workers.retention import run
from workers.retention.erasing import Places
from workers.retention.kinds import Kind
from workers.retention.policy import RetentionPolicy
from workers.retention.run import Retention, run_retention
from workers.retention.steps import Pace


def retention_of(database: Database, folder: Path, clock: Clock, stop: Stop) -> Retention:
    places = Places(PhotoStore(folder / "photos"), folder / "generations", folder / "columns")
    return Retention.of(Pace(database, clock, stop, rest_s=0.0), places, RetentionPolicy())


def test_what_breaks_is_logged_and_the_rest_goes_on(
    database: Database, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with database.write() as session:
        session.execute(text("DROP TABLE events"))
        session.execute(text("INSERT INTO places (name, looked_up_at) VALUES ('x', '2020-01-01')"))
    run_retention(retention_of(database, tmp_path, clock, OneRound()))
    assert "events that have had their time could not be removed" in caplog.text
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM places")) == 0


def test_while_the_database_is_away_it_goes_on(
    clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Database(f"sqlite:///{tmp_path}/nowhere/m.db")
    run_retention(retention_of(nowhere, tmp_path, clock, OneRound()))
    assert "Trying again." in caplog.text
    assert "Traceback" not in caplog.text


def test_an_erasure_is_finished_within_seconds(
    any_database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LOOK_EVERY_S", 0.05)
    stop = Stop()
    thread = Thread(target=run_retention, args=(retention_of(any_database, tmp_path, clock, stop),))
    thread.start()
    try:
        with any_database.write() as session:
            listing = ListingData(UUID(int=5), "Zither")
            add_listing(session, [], clock(), listing=listing)
            erase_listing(session, listing.id, clock())

        def is_finished() -> bool:
            with any_database.read() as session:
                return session.scalars(select(Erasure.finished_at)).one() is not None

        wait_until(is_finished)
    finally:
        stop.set()
        thread.join()


def test_what_reads_everything_is_not_done_at_once(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Kind] = []

    def remove(_: Retention, kind: Kind) -> int:
        removed.append(kind)
        return 0

    monkeypatch.setattr(Retention, "remove", remove)
    run_retention(retention_of(database, tmp_path, clock, OneRound()))
    assert _daily(removed) == []
    assert Kind.JOBS in removed
    removed.clear()
    monkeypatch.setattr(run, "FIRST_DAILY_AFTER_S", 0.0)
    run_retention(retention_of(database, tmp_path, clock, OneRound()))
    assert set(removed) == set(Kind)


def _daily(kinds: Sequence[Kind]) -> list[Kind]:
    return [kind for kind in kinds if run.EVERY_S[kind] == run.DAY_S]
