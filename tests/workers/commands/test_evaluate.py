import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from models.domain.errors import Conflict, InvalidFeed, MarketlensError, NotFound, SetupError
from models.evaluation.compare import METRICS
from models.labels import Level
from models.training.data.split import Part, split_photos
from tests.support.commands import invoke
from tests.support.feeds import image_row, product_row, write_feed
from tests.support.pictures import picture
from workers.commands.labelled_photos import labelled_in_folder

CATEGORIES = ("Garden / Pots", "Home / Lamps", "Home / Pots & <b")
LISTINGS = 21
PHOTOS = 2 * LISTINGS

Run = Callable[..., Result]


def photo(number: int) -> bytes:
    """A photo that looks like all others of its category, and is none of them."""
    like = picture((number - 1) // 2 % len(CATEGORIES))
    file = io.BytesIO()
    like.point(lambda value: max(0, value - number)).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cleaned feed, and beside it in `var` the data folder that it was seeded into."""
    base = tmp_path_factory.mktemp("evaluate")
    feed = write_feed(
        base / "feed",
        [
            product_row(number, category=CATEGORIES[(number - 1) % len(CATEGORIES)])
            for number in range(1, LISTINGS + 1)
        ],
        [image_row(number, (number + 1) // 2) for number in range(1, PHOTOS + 1)],
        {number: photo(number) for number in range(1, PHOTOS + 1)},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKETLENS_DATA_DIR", str(base / "var"))
        patch.setenv("MARKETLENS_ENCODER", "hog")
        for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
            patch.delenv(f"MARKETLENS_{name}", raising=False)
        for command in (["clean", feed, base / "clean"], ["seed", base / "clean", "--no-wait"]):
            invoke(*command)
        yield base / "clean"


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    del folder

    def run(*arguments: str | Path) -> Result:
        result = invoke("evaluate", *arguments)
        if isinstance(result.exception, MarketlensError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run


def report(result: Result) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def test_the_catalogue_is_evaluated_with_the_configured_encoder(run: Run) -> None:
    told = report(run("--level", "sub", "--json"))
    assert (told["level"], told["photos"], told["listings"]) == ("sub", PHOTOS, LISTINGS)
    assert (told["queries"], told["held_out"]) == (PHOTOS, LISTINGS)
    (encoder,) = told["encoders"]
    assert encoder["encoder"].startswith("hog-")
    assert list(encoder["metrics"]) == list(METRICS)
    # Photos of a category look alike, and no other does.
    assert encoder["metrics"]["precision_at_1"]["value"] == 1
    assert encoder["metrics"]["map"]["low"] == 1
    assert [row["category"] for row in encoder["categories"]] == sorted(CATEGORIES)
    assert [row["queries"] for row in encoder["categories"]] == [14, 14, 14]


def test_a_cleaned_folder_says_what_its_catalogue_says(run: Run, folder: Path) -> None:
    assert report(run("hog", "--data", folder, "--json")) == report(run("--json"))


def test_at_the_root_what_lies_below_is_one(run: Run) -> None:
    (encoder,) = report(run("--json"))["encoders"]
    assert [row["category"] for row in encoder["categories"]] == ["Garden", "Home"]


def test_an_encoder_named_twice_is_evaluated_once(run: Run) -> None:
    told = report(run("hog", "hog-", "--json"))
    assert len(told["encoders"]) == 1
    assert told["differences"] == []


def test_fewer_queries_are_drawn_by_the_seed(run: Run) -> None:
    told = report(run("--queries", "9", "--seed", "2", "--json"))
    assert (told["queries"], told["held_out"], told["seed"]) == (9, 9, 2)


def test_a_table_is_for_people(run: Run) -> None:
    shown = run("--level", "sub").stdout
    assert "mAP" in shown
    assert "42 photos of 21 listings" in shown
    assert "Home / Pots & <b" in shown


def test_the_page_is_written_whole(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    run("--level", "sub", "--html", page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert text.count('alt="Query: ') == 8
    assert "Home / Pots &amp; &lt;b" in text
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_a_page_that_can_not_be_written_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="can't be written"):
        run("--html", tmp_path / "file" / "page.html")


def test_photos_are_embedded_once(run: Run, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "clean"
    shutil.copytree(folder, copy)
    before = report(run("--data", copy, "--json"))
    shutil.rmtree(copy / "photos")
    assert report(run("--data", copy, "--json")) == before


def test_only_what_was_held_out_of_a_training(run: Run, folder: Path, tmp_path: Path) -> None:
    photos = labelled_in_folder(folder, Level.ROOT)
    split = split_photos(photos, 0)
    split.save(tmp_path / "split.json")
    told = report(run("--data", folder, "--split", tmp_path / "split.json", "--json"))
    assert told["listings"] == len(split.listings[Part.TEST]) < LISTINGS / 2
    assert told["photos"] == 2 * told["listings"]


def test_a_split_of_other_photos_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    split_photos(labelled_in_folder(folder, Level.SUB), 0).save(tmp_path / "split.json")
    with pytest.raises(Conflict):
        run("--data", folder, "--level", "root", "--split", tmp_path / "split.json")


def test_unknown_encoders_and_folders_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there are .*hog-"):
        run("resnet152")
    with pytest.raises(InvalidFeed):
        run("--data", tmp_path)
