"""`marketlens calibrate` on a drawn catalogue, by the encoder without a network."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput, NotFound
from models.domain.types import MatchLabel
from models.matching import strangers
from sample.catalogue import draw_catalogue
from tests.support.commands import invoke, last_line
from workers.encoders import calibrating

LISTINGS = 30


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a drawn catalogue."""
    base = tmp_path_factory.mktemp("calibrate")
    draw_catalogue(base / "feed", LISTINGS, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKETLENS_DATA_DIR", str(base / "var"))
        patch.setenv("MARKETLENS_ENCODER", "hog")
        for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
            patch.delenv(f"MARKETLENS_{name}", raising=False)
        assert invoke("seed", base / "feed", "--inline").exit_code == 0
        yield base / "var"


@pytest.mark.usefixtures("data_dir")
def test_a_small_catalogue_is_refused_with_the_reason() -> None:
    result = invoke("calibrate")
    assert isinstance(result.exception, InvalidInput)
    assert f"need {calibrating.MIN_LISTINGS} listings" in str(result.exception)
    assert f"there are {LISTINGS}" in str(result.exception)


@pytest.mark.usefixtures("data_dir")
def test_an_encoder_that_is_not_known_is_refused() -> None:
    assert isinstance(invoke("calibrate", "resnet50").exception, NotFound)


@pytest.mark.usefixtures("data_dir")
def test_what_is_measured_is_shown_and_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "MIN_LISTINGS", LISTINGS)
    monkeypatch.setattr(strangers, "EACH", 2)
    result = invoke("calibrate", "--json")
    assert result.exit_code == 0, result.output
    told = last_line(result)
    assert told["encoder"].startswith("hog-")
    assert told["listings"] == LISTINGS
    assert told["photos"] >= LISTINGS
    assert set(told["precision"]) == {
        "same_item",
        "same_item_alone",
        "very_similar",
        "very_similar_alone",
        "found",
        "strangers",
        "lost",
    }
    assert told["precision"]["lost"]["count"] == LISTINGS
    table = invoke("calibrate", "hog").stdout
    for label in MatchLabel:
        assert label in table
    # Too few to be sure that 19 of 20 are right.
    assert "withheld" in table
    (listed,) = [
        row
        for row in json.loads(invoke("encoder", "list", "--json").stdout)["encoders"]
        if row["matching"] is not None
    ]
    assert listed["matching"]["related"] == told["related"]
    assert "match labels: same item withheld" in invoke("encoder", "list").stdout
