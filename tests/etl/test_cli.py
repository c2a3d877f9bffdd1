import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from db.session import Database
from db.tables import Job, Listing
from etl.cli import app
from models.errors import InvalidFeed, MarketlensError, WeightsMissing
from tests.support.feeds import image_row, product_row, simple_feed, write_feed
from tests.support.pictures import jpeg

Run = Callable[..., Result]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "var"
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(folder))
    monkeypatch.setenv("MARKETLENS_ENCODER", "hog")
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
        monkeypatch.delenv(f"MARKETLENS_{name}", raising=False)
    return folder


@pytest.fixture
def run(data_dir: Path) -> Run:
    """Runs a command with a data folder of its own, in which no broker runs."""
    del data_dir

    def run(*arguments: str | Path, error: type[MarketlensError] | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if error is None and result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert error is None or isinstance(result.exception, error)
        return result

    return run


def counts(data_dir: Path) -> tuple[int, int]:
    """Listings and jobs in the data folder's database."""
    database = Database(f"sqlite:///{data_dir / 'marketlens.db'}")
    with database.read() as session:
        listings = session.scalar(select(func.count()).select_from(Listing)) or 0
        jobs = session.scalar(select(func.count()).select_from(Job)) or 0
    database.close()
    return listings, jobs


def test_a_seed_is_reported_as_json(tmp_path: Path, data_dir: Path, run: Run) -> None:
    result = run("seed", simple_feed(tmp_path / "feed", 3), "--no-wait", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout.splitlines()[-1])
    assert report.pop("seconds") > 0
    assert report == {
        "products": {"read": 3, "accepted": 3, "rejected": 0},
        "photos": {"read": 6, "accepted": 6, "rejected": 0},
        "categories": {"root": 1, "sub": 1},
        "written": {"created": 3, "updated": 0, "unchanged": 0},
        "queued": 6,
        "embedded": 0,
    }
    assert counts(data_dir) == (3, 1)


def test_rejected_rows_are_told_and_listed_in_a_file(
    tmp_path: Path, data_dir: Path, run: Run
) -> None:
    products = [product_row(1), product_row(2, price="[a lot]")]
    folder = write_feed(tmp_path / "feed", products, [image_row(1, 1)], {1: jpeg(1)})
    result = run("seed", folder, "--no-wait")
    assert result.exit_code == 0
    assert "2 read, 1 accepted, 1 rejected" in result.stdout
    assert "is not a price" in result.stdout
    rejects = data_dir / "reports" / "feed-rejects.csv"
    assert str(rejects) in result.stdout
    with rejects.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], row["row"], row["field"]) == ("Products.csv", "3", "price")


def test_a_seed_without_weights_writes_nothing(
    tmp_path: Path, data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETLENS_ENCODER", "resnet50")
    monkeypatch.setenv("MARKETLENS_WEIGHTS", str(tmp_path / "nothing.safetensors"))
    run("seed", simple_feed(tmp_path / "feed", 1), error=WeightsMissing)
    assert not data_dir.exists()


def test_a_folder_that_is_no_feed_is_refused(tmp_path: Path, data_dir: Path, run: Run) -> None:
    run("seed", tmp_path / "nowhere", error=InvalidFeed)
    assert counts(data_dir) == (0, 0)


def test_a_drawn_sample_is_a_feed_without_faults(tmp_path: Path, data_dir: Path, run: Run) -> None:
    drawn = run("sample", tmp_path / "sample", "--listings", "3", "--seed", "1")
    assert drawn.exit_code == 0
    result = run("seed", tmp_path / "sample", "--no-wait", "--json")
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["products"] == {"read": 3, "accepted": 3, "rejected": 0}
    assert report["photos"]["rejected"] == 0
    assert report["photos"]["read"] >= 3
    assert counts(data_dir)[0] == 3
