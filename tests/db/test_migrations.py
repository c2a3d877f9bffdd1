"""The migrations and the tables must describe the same schema, on both databases."""

import pytest
from alembic import command
from sqlalchemy import inspect, text

from db.encoders import all_encoders
from db.migrate import alembic_config, upgrade
from db.session import Database
from db.tables import Base
from models.domain import EncoderStatus, Precision


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
