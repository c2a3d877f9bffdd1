"""What the server's protocol does not depend on the kind of database."""

from collections.abc import Iterator

import pytest

from api.connections import protocol
from db.session import Database


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """What the application stores in."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol looks twenty times as often, and counts a second each time."""
    monkeypatch.setattr(protocol, "LOOK_EVERY_S", 0.05)
