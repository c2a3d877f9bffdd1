"""A data folder with a catalogue, and `marketlens index` run on it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from db.session import Database
from db.vectors.encoders import activate_initial_encoder
from models.domain.clock import utc_now
from models.domain.errors import MarketlensError
from tests.support.commands import invoke
from tests.support.index_commands import ELSEWHERE, LISTINGS, Catalogue, RunIndex


@pytest.fixture
def catalogue(
    tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Catalogue]:
    folder = tmp_path / "var"
    folder.mkdir()
    (folder / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(folder))
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS", "ENCODER"):
        monkeypatch.delenv(f"MARKETLENS_{name}", raising=False)
    database = Database(f"sqlite:///{folder / 'marketlens.db'}")
    with database.write() as session:
        activate_initial_encoder(session, ELSEWHERE, utc_now())
    opened = Catalogue(folder, database, np.random.default_rng(0))
    opened.add(LISTINGS)
    yield opened
    database.close()


@pytest.fixture
def run_index(catalogue: Catalogue) -> RunIndex:
    del catalogue

    def run(*arguments: str, raises: type[MarketlensError] | None = None) -> Result:
        result = invoke("index", *arguments)
        if raises is None:
            assert result.exit_code == 0, (result.output, result.exception)
        else:
            assert isinstance(result.exception, raises), (result.output, result.exception)
        return result

    return run
