"""The application with a real database and store, and a broker that can't be reached.

What the API promises must hold without a broker: accepted means stored.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.main import create_app
from db.access.keys import create_key
from db.session import Database
from models.domain.types import Scope
from settings import Settings
from tests.support.http import MakeClient


@pytest.fixture
def database(any_database: Database) -> Database:
    """What the application stores in; each test runs on both kinds of database."""
    return any_database


@pytest.fixture
def make_app(tmp_path: Path, database: Database) -> Callable[..., FastAPI]:
    """Makes an application with the given settings."""

    def make(**settings: object) -> FastAPI:
        given = {
            "data_dir": tmp_path,
            "database_url": database.engine.url.render_as_string(hide_password=False),
            "redis_url": f"redis+socket://{tmp_path}/nobody.sock",
            **settings,
        }
        return create_app(Settings.model_validate(given))

    return make


@pytest.fixture
def make_client(make_app: Callable[..., FastAPI]) -> Iterator[MakeClient]:
    """Makes a client of an application with the given settings."""
    opened: list[TestClient] = []

    def make(**settings: object) -> TestClient:
        app = make_app(**settings)
        client = TestClient(
            app,
            "http://127.0.0.1:8000",
            raise_server_exceptions=False,
            client=("127.0.0.1", 50_000),
        )
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """A client of an application that listens on loopback."""
    return make_client()


@pytest.fixture
def key(database: Database) -> Callable[..., dict[str, str]]:
    """Makes the header of a new key with the given scopes."""

    def make(*scopes: Scope) -> dict[str, str]:
        with database.write() as session:
            made = create_key(session, "test", scopes, datetime.now(UTC))
        return {"Authorization": f"Bearer {made}"}

    return make
