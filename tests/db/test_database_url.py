"""URLs of databases as hosts and frameworks write them, and what can be said of others."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from db.schema_migration import upgrade
from db.session import Database, database_url
from models.domain.errors import Misconfigured, SetupError, Unavailable, sentence_of

SECRET = "pa55word"  # noqa: S105 - of nothing


@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "POSTGRES",
        "postgresql+psycopg2",
        "postgres+asyncpg",
        "postgresql+pg8000",
    ],
)
def test_postgresql_by_any_name_is_opened_by_our_driver(scheme: str) -> None:
    parsed = database_url(f"{scheme}://me:{SECRET}@[::1]:5433/shop?sslmode=require")
    assert parsed.drivername == "postgresql+psycopg"
    assert (parsed.username, parsed.password) == ("me", SECRET)
    assert (parsed.host, parsed.port, parsed.database) == ("::1", 5433, "shop")
    assert parsed.query == {"sslmode": "require"}


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"])
def test_a_sqlite_file_may_be_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert database_url(f"{scheme}:///~/a.db").database == str(tmp_path / "a.db")
    assert database_url(f"{scheme}:////~/a.db").database == "/~/a.db"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@host/shop",
        f"mssql+pyodbc://me:{SECRET}@host/shop",
        f"postgresql:me:{SECRET}@host/shop",
        f"me:{SECRET}@host/shop",
        f"postgresql://me:{SECRET}@host:port/shop",
        f"postgresql://me:a@{SECRET}@host/shop",
        f"{SECRET}",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?nonsense=1",
        "",
        "://",
    ],
)
def test_other_urls_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SetupError, match="MARKETLENS_DATABASE_URL") as refused:
        Database(url)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_kind_of_database_is_named() -> None:
    with pytest.raises(SetupError, match="not mysql"):
        Database("mysql://host/shop")


@given(st.text())
def test_any_text_is_a_url_or_refused(url: str) -> None:
    try:
        parsed = database_url(url)
    except SetupError as refused:
        assert sentence_of(refused) == str(refused)  # noqa: PT017 - it may also be taken
    else:
        assert parsed.drivername in {"sqlite", "postgresql+psycopg"}


def fails(url: str, statement: str = "SELECT 1") -> Unavailable:
    database = Database(url)
    with pytest.raises(Unavailable) as failed, database.read() as session:
        session.execute(text(statement))
    database.close()
    assert SECRET not in sentence_of(failed.value)
    return failed.value


@pytest.mark.parametrize("host", ["127.0.0.1:9", "[::1]:9", "no.such.host.invalid"])
def test_a_server_that_is_away_may_come_back(host: str) -> None:
    failed = fails(f"postgres://me:{SECRET}@{host}/shop")
    assert not isinstance(failed, Misconfigured)
    assert host.strip("[]:9") in sentence_of(failed)
    # Callers of the API are not told where it is.
    assert host not in str(failed)


@pytest.mark.parametrize("option", ["nonsense=1", "sslmode=nonsense"])
def test_an_option_that_the_driver_does_not_know_stays_wrong(option: str) -> None:
    failed = fails(f"postgres://me:{SECRET}@127.0.0.1:9/shop?{option}")
    assert isinstance(failed, Misconfigured)
    assert "nonsense" in sentence_of(failed)


def test_what_a_server_refuses_stays_refused(new_postgres_url: object) -> None:
    assert callable(new_postgres_url)
    url: str = new_postgres_url()
    name = database_url(url).database
    for wrong in (
        url.replace(f"/{name}", "/no_such_database"),
        url.replace("postgres@", "nobody@"),
    ):
        failed = fails(wrong)
        assert isinstance(failed, Misconfigured)
        assert "does not exist" in sentence_of(failed)
    engine = create_engine(database_url(url))
    with engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    engine.dispose()
    failed = fails(url, "INSERT INTO categories (name, path) VALUES ('a', 'a')")
    assert isinstance(failed, Misconfigured)
    assert "read-only" in sentence_of(failed)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no database" * 1000, "not a database"), (None, "unable to open")]
)
def test_a_file_that_is_no_database_stays_none(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "shop.db"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    failed = fails(f"sqlite:///{file}")
    assert isinstance(failed, Misconfigured)
    assert reason in sentence_of(failed)
    assert str(file) in sentence_of(failed)
    with pytest.raises(Misconfigured):
        upgrade(f"sqlite:///{file}")


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=str(tmp_path / "file")):
        upgrade(f"sqlite:///{tmp_path}/file/below/shop.db")


def test_a_database_of_a_later_release_is_not_touched(sqlite_url: str, database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupError, match="later release"):
        upgrade(sqlite_url)


def test_a_file_that_another_holds_may_be_free_later(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.session.BUSY_TIMEOUT_MS", 10)
    holder, other = Database(sqlite_url), Database(sqlite_url)
    with holder.write() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(Unavailable) as failed, other.write() as late:
            late.execute(text("SELECT 1"))
    holder.close()
    other.close()
    assert not isinstance(failed.value, Misconfigured)
    assert "locked" in sentence_of(failed.value)
