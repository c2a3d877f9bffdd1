"""What clients really send does not depend on the kind of database."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

from db.session import Database
from tests.support.raw_http import RawServer, serving


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """What the application stores in."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def server(make_app: Callable[..., FastAPI]) -> Iterator[RawServer]:
    """The application behind its server, on loopback."""
    with serving(make_app()) as server:
        yield server
