"""A deployment that is filled, an empty one, and where snapshots are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from db.session import Database
from tests.support.deployments import Place, fill

MakePlace = Callable[[], Place]


@pytest.fixture
def source(tmp_path: Path, any_database: Database) -> Place:
    """A deployment with something of everything, on either database."""
    url = any_database.engine.url.render_as_string(hide_password=False)
    place = Place(tmp_path / "source", url)
    place.folder.mkdir()
    fill(place.deployment)
    return place


@pytest.fixture
def sqlite_source(tmp_path: Path, sqlite_url: str) -> Place:
    """The same, where the kind of database does not matter."""
    place = Place(tmp_path / "source", sqlite_url)
    place.folder.mkdir()
    fill(place.deployment)
    return place


@pytest.fixture
def target(tmp_path: Path) -> Place:
    """An empty machine, with SQLite."""
    return Place(tmp_path / "target", f"sqlite:///{tmp_path}/target/marketlens.db")


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "backups"
