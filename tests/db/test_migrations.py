"""The migrations and the tables must describe the same schema, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, select, text, update

from db.access.keys import all_keys, create_key
from db.catalogue.listing_photos import PhotoData, ensure_photos, stored_photos
from db.catalogue.listings import ListingData, delete_listing, upsert_listings, views_of
from db.jobs.accepting import accept
from db.schema_migration import alembic_config, upgrade
from db.session import Database
from db.tables import ApiKey, Base, Listing, Photo
from db.vectors.encoders import all_encoders, matching_of, set_matching
from models.domain.types import EncoderStatus, JobType, ListingStatus, Precision, Scope
from tests.support.clock import Clock
from tests.support.payloads import some_payload
from tests.support.waiting import wait_until


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def test_schema_is_what_the_tables_say(any_database: Database) -> None:
    command.check(alembic_config(url_of(any_database)))


def test_downgrade_leaves_nothing_and_upgrade_brings_it_back(any_database: Database) -> None:
    config = alembic_config(url_of(any_database))
    command.downgrade(config, "base")
    assert set(inspect(any_database.engine).get_table_names()) == {"alembic_version"}
    upgrade(url_of(any_database))
    assert set(Base.metadata.tables) <= set(inspect(any_database.engine).get_table_names())


def insert_encoders(database: Database, live: dict[int, str | None]) -> None:
    """Encoders as the second schema has them; a live generation of those that have a day for it."""
    with database.write() as session:
        for number, day in live.items():
            session.execute(
                text(
                    "INSERT INTO encoders (id, name, fingerprint, dimension, created_at) "
                    "VALUES (:id, 'hog', :fingerprint, 4, '2030-01-01 00:00:00')"
                ),
                {"id": number, "fingerprint": str(number) * 64},
            )
            for status, at in (("retired", "2030-12-31"), ("live", day)):
                if day is not None:
                    session.execute(
                        text(
                            "INSERT INTO generations (encoder_id, status, created_at, activated_at)"
                            " VALUES (:id, :status, '2030-01-01 00:00:00', :at)"
                        ),
                        {"id": number, "status": status, "at": f"{at} 00:00:00"},
                    )


@pytest.mark.parametrize(
    ("live", "active"),
    [
        ({}, None),
        ({1: None}, None),
        ({1: "2030-01-02"}, 1),
        ({1: "2030-01-03", 2: "2030-01-02", 3: None}, 1),
        ({1: "2030-01-02", 2: "2030-01-03", 3: None}, 2),
    ],
)
def test_the_encoder_that_was_indexed_last_becomes_the_active_one(
    any_database: Database, live: dict[int, str | None], active: int | None
) -> None:
    config = alembic_config(url_of(any_database))
    command.downgrade(config, "0002")
    insert_encoders(any_database, live)
    upgrade(url_of(any_database))
    with any_database.read() as session:
        rows = all_encoders(session)
        assert [row.id for row in rows if row.status is EncoderStatus.ACTIVE] == [active] * bool(
            active
        )
        assert all(
            row.status in {EncoderStatus.ACTIVE, EncoderStatus.REGISTERED}
            and row.precision is Precision.FLOAT32
            and (row.activated_at is not None) == (row.id == active)
            for row in rows
        )
    command.downgrade(config, "0002")
    with any_database.read() as session:
        assert len(session.execute(text("SELECT * FROM encoders")).all()) == len(live)


def test_what_an_earlier_release_does_not_know_is_as_before_after_a_downgrade(
    any_database: Database, clock: Clock
) -> None:
    config = alembic_config(url_of(any_database))
    statuses = [ListingStatus.ACTIVE, ListingStatus.RESERVED, ListingStatus.SOLD]
    listings = [ListingData(UUID(int=n), "Lamp", status=s) for n, s in enumerate(statuses)]
    gone = ListingData(UUID(int=9), "Gone", seller="sam", price=Decimal(5), currency="GBP")
    with any_database.write() as session:
        upsert_listings(session, [*listings, gone], clock())
        delete_listing(session, gone.id, clock())
        ensure_photos(session, [PhotoData("a" * 64, 3, 4)], clock())
        for number, kind in enumerate([JobType.DUPLICATES, JobType.SEARCH]):
            accept(session, some_payload(kind), job_id=UUID(int=number), now=clock())

    command.downgrade(config, "0003")
    with any_database.read() as session:
        rows = session.execute(text("SELECT status FROM listings ORDER BY id")).scalars()
        assert list(rows) == ["active", "active", "active", "deleted"]
        assert list(session.execute(text("SELECT type FROM jobs")).scalars()) == ["search"]

    upgrade(url_of(any_database))
    with any_database.read() as session:
        assert set(views_of(session, [item.id for item in [*listings, gone]])) == {
            item.id for item in listings
        }
        assert session.scalars(select(Photo.phash)).all() == [None]
        assert session.scalars(select(Listing.seller)).all() == [None] * 4


@pytest.mark.parametrize("phash", [-(2**63), -1, 0, 2**63 - 1])
def test_a_perceptual_hash_has_64_bits(any_database: Database, clock: Clock, phash: int) -> None:
    with any_database.write() as session:
        ensure_photos(session, [PhotoData("a" * 64, 3, 4)], clock())
        session.execute(update(Photo).values(phash=phash))
    with any_database.read() as session:
        assert session.scalars(select(Photo.phash)).one() == phash


def test_photos_of_an_earlier_release_are_complete(any_database: Database, clock: Clock) -> None:
    config = alembic_config(url_of(any_database))
    photos = [PhotoData("a" * 64, 3, 4), PhotoData("b" * 64, 3, 4, incomplete=True)]
    with any_database.write() as session:
        ensure_photos(session, photos, clock())
        assert stored_photos(session, ["a" * 64, "b" * 64]) == {one.sha256: one for one in photos}
    command.downgrade(config, "0006")
    upgrade(url_of(any_database))
    with any_database.read() as session:
        assert session.scalars(select(Photo.incomplete)).all() == [False, False]


def test_encoders_of_earlier_releases_have_no_match_labels(any_database: Database) -> None:
    config = alembic_config(url_of(any_database))
    command.downgrade(config, "0014")
    insert_encoders(any_database, {1: None})
    upgrade(url_of(any_database))
    with any_database.write() as session:
        assert matching_of(session, 1) is None
        set_matching(session, 1, {"format": 1, "related": 0.5})
    command.downgrade(config, "0014")
    assert "matching" not in {
        column["name"] for column in inspect(any_database.engine).get_columns("encoders")
    }
    upgrade(url_of(any_database))


def test_keys_for_events_are_gone_after_a_downgrade(any_database: Database, clock: Clock) -> None:
    """An earlier release can't read a scope that it does not know."""
    with any_database.write() as session:
        for scopes in ([Scope.SEARCH], [Scope.EVENTS, Scope.SEARCH], [Scope.EVENTS]):
            create_key(session, " ".join(scopes), scopes, clock())
    command.downgrade(alembic_config(url_of(any_database)), "0016")
    upgrade(url_of(any_database))
    with any_database.read() as session:
        assert session.scalars(select(ApiKey.name)).all() == ["search"]


def test_keys_that_have_expired_are_revoked_for_an_earlier_release(any_database: Database) -> None:
    """It would take them for valid: it does not know when they expire."""
    now, hour = datetime.now(UTC), timedelta(hours=1)
    with any_database.write() as session:
        create_key(session, "expired", [Scope.SEARCH], now - 2 * hour, lifetime=hour)
        create_key(session, "valid", [Scope.SEARCH], now, lifetime=hour)
        create_key(session, "lasting", [Scope.SEARCH], now)
    command.downgrade(alembic_config(url_of(any_database)), "0018")
    upgrade(url_of(any_database))
    with any_database.read() as session:
        assert [key.name for key in all_keys(session)] == ["lasting", "valid"]


def test_a_migration_that_must_wait_lets_others_go_first(
    new_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction reads for a while; a migration wants its table, and others go on reading."""
    url = new_postgres_url()
    with closing(Database(url)) as database:
        command.downgrade(alembic_config(url), "0011")
        tried: list[str] = []
        original = command.upgrade

        def counted(config: Config, revision: str) -> None:
            tried.append(revision)
            original(config, revision)

        monkeypatch.setattr("db.schema_migration.command.upgrade", counted)
        with database.engine.connect() as reader, ThreadPoolExecutor(1) as pool:
            reader.exec_driver_sql("SELECT count(*) FROM listings")
            migrating = pool.submit(upgrade, url)
            # It has waited, given up, and waits again.
            wait_until(lambda: len(tried) > 1, 30)
            with database.read() as session:
                assert session.scalar(text("SELECT count(*) FROM listings")) == 0
            assert not migrating.done()
            reader.rollback()
            migrating.result()
    command.check(alembic_config(url))


def test_a_migration_waits_for_a_writer_of_sqlite(sqlite_url: str) -> None:
    """It reads first, and another process writes before it does."""
    with closing(Database(sqlite_url)) as database, ThreadPoolExecutor(1) as pool:
        command.downgrade(alembic_config(sqlite_url), "0011")
        with database.write() as session:
            session.execute(text("DELETE FROM places"))
            migrating = pool.submit(upgrade, sqlite_url)
            with pytest.raises(TimeoutError):
                migrating.result(0.5)
        migrating.result()
    command.check(alembic_config(sqlite_url))
