"""`marketlens duplicates`, on a catalogue that was seeded."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import Result

from db.schema_migration import upgrade
from models.domain.errors import Conflict, MarketlensError, SetupError
from settings import Settings
from tests.support.commands import invoke
from tests.support.feeds import image_row, product_row, write_feed
from tests.support.pictures import jpeg


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing is yet."""
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("MARKETLENS_ENCODER", "hog")
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
        monkeypatch.delenv(f"MARKETLENS_{name}", raising=False)
    return tmp_path / "var"


@pytest.fixture
def seeded(data_dir: Path, tmp_path: Path) -> Path:
    """A catalogue of three listings, of which two show one photo."""
    feed = write_feed(
        tmp_path / "feed",
        [product_row(number) for number in (1, 2, 3)],
        [image_row(number, number) for number in (1, 2, 3)],
        {1: jpeg(1), 2: jpeg(1), 3: jpeg(2)},
    )
    for command in (["clean", feed, tmp_path / "clean"], ["seed", tmp_path / "clean", "--inline"]):
        invoke(*command)
    return data_dir


def run(*arguments: str | Path) -> Result:
    result = invoke("duplicates", *arguments)
    if isinstance(result.exception, MarketlensError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_the_report_ends_with_a_line_of_json(seeded: Path) -> None:
    del seeded
    told = json.loads(run("--json").stdout.splitlines()[-1])
    assert told["clusters_total"] == {"same_photo": 1, "same_item": 0}
    assert told["photos"] == 2
    (cluster,) = told["clusters"]
    assert {one["title"] for one in cluster["listings"]} == {"Lamp 1", "Lamp 2"}


def test_a_table_is_for_people(seeded: Path) -> None:
    del seeded
    shown = run().stdout
    assert "Clusters of the same photo: 1" in " ".join(shown.split())
    assert "same photo" in shown


def test_all_clusters_are_written(seeded: Path, tmp_path: Path) -> None:
    del seeded
    path = tmp_path / "new" / "clusters.csv"
    run("--csv", path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cluster"] for row in rows] == ["1", "1"]
    assert {row["title"] for row in rows} == {"Lamp 1", "Lamp 2"}
    assert {row["similarity"] for row in rows} == {"1.000000"}
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="can't be written"):
        run("--csv", tmp_path / "file" / "clusters.csv")


def test_nothing_embedded_is_said(data_dir: Path) -> None:
    data_dir.mkdir()
    upgrade(Settings().sqlalchemy_url)
    with pytest.raises(Conflict, match="no active encoder"):
        run()
