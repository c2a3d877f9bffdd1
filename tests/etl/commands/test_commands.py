import json
import os
import shutil
import sqlite3
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from sqlalchemy import func, select
from typer.testing import Result

from db.schema_migration import upgrade
from db.session import Database
from db.tables import Embedding, Generation, Job, Listing
from etl.clean.rejects import Consequence
from models.domain.types import GenerationStatus, JobStatus, ListingStatus
from tests.support.archives import pack_zip
from tests.support.commands import invoke, last_line
from tests.support.feeds import (
    PRODUCT_HEADER,
    image_row,
    product_row,
    read_rejects,
    simple_feed,
    to_csv,
    write_feed,
)
from tests.support.pictures import jpeg
from tests.support.shops import EXPORTS, write_photos
from tests.support.web import file_server

Run = Callable[..., Result]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "var"
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(folder))
    monkeypatch.setenv("MARKETLENS_ENCODER", "hog")
    # GeoNames' list takes seconds to read; a test of its own has it read.
    monkeypatch.setenv("MARKETLENS_GAZETTEER", "off")
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS", "GEOCODER"):
        monkeypatch.delenv(f"MARKETLENS_{name}", raising=False)
    return folder


@pytest.fixture
def run(data_dir: Path) -> Run:
    """Runs a command with a data folder of its own, in which no broker runs."""
    del data_dir

    def run(*arguments: str | Path, ends: int = 0) -> Result:
        result = invoke(*arguments)
        assert result.exit_code == ends, result.output
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


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_seed_is_reported_as_json(tmp_path: Path, data_dir: Path, run: Run) -> None:
    report = last_line(run("seed", simple_feed(tmp_path / "feed", 3), "--no-wait", "--json"))
    assert report.pop("notes") == report.pop("problems") == []
    assert report.pop("seconds") > 0
    assert report.pop("peak_mb") > 10
    assert [table["file"] for table in report.pop("tables")] == ["Products.csv", "Images.csv"]
    assert report == {
        "products": {"read": 3, "accepted": 3, "rejected": 0},
        "photos": {"read": 6, "accepted": 6, "rejected": 0},
        "incomplete_photos": 0,
        "categories": {"root": 1, "sub": 1},
        "written": {"listings": 3, "photos": 6, "categories": 2},
        "reasons": [],
        "left_out": [],
        "not_offered": [],
        "listings": {"created": 3, "updated": 0, "unchanged": 0, "pruned": 0},
        "queued": 6,
        "embedded": 0,
    }
    assert counts(data_dir) == (3, 1)


def test_a_seed_locates_places_unless_that_is_off(
    tmp_path: Path, data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def degrees() -> set[tuple[float | None, float | None]]:
        with sqlite3.connect(data_dir / "marketlens.db") as database:
            return set(database.execute("SELECT round(latitude), round(longitude) FROM listings"))

    folder = simple_feed(tmp_path / "feed", 2)
    run("seed", folder, "--no-wait")
    assert degrees() == {(None, None)}
    monkeypatch.delenv("MARKETLENS_GAZETTEER")
    run("seed", folder, "--no-wait")
    assert degrees() == {(54, -2)}


def test_a_second_seed_writes_nothing(tmp_path: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 3)
    run("seed", folder, "--no-wait")
    report = last_line(run("seed", folder, "--no-wait", "--json"))
    assert report["written"] == {"listings": 0, "photos": 0, "categories": 0}


def test_rejected_rows_are_told_and_listed_in_a_file(
    tmp_path: Path, data_dir: Path, run: Run
) -> None:
    products = [
        product_row(1),
        product_row(2, price="[a lot]"),
        product_row(3, location="[x]" * 200),
    ]
    folder = write_feed(tmp_path / "feed", products, [image_row(1, 1)], {1: jpeg(1)})
    result = run("seed", folder, "--no-wait", ends=1)
    assert "3 read, 2 accepted, 1 rejected" in result.stdout
    assert "is not a price" in result.stdout
    rejects = data_dir / "reports" / "feed-rejects.csv"
    assert str(rejects) in result.stdout
    assert [(one.row, one.field, one.consequence) for one in read_rejects(rejects)] == [
        (3, "price", Consequence.LEFT_OUT),
        (4, "location", Consequence.REJECTED),
    ]


@pytest.mark.parametrize("source", ["file", "folder", "zip", "URL of the file"])
def test_a_shops_table_is_seeded_by_itself_or_with_its_photos(
    tmp_path: Path, data_dir: Path, run: Run, source: str
) -> None:
    name, export = EXPORTS["Google Merchant, TSV"]
    folder = tmp_path / "shop"
    write_photos(folder / "images")
    (folder / name).write_text(export("images/"), encoding="utf-8", newline="")
    packed = {str(path.relative_to(folder)): path.read_bytes() for path in files(folder)}
    pack_zip(tmp_path / "shop.zip", packed)
    with file_server(folder) as server:
        places = {
            "file": folder / name,
            "folder": folder,
            "zip": tmp_path / "shop.zip",
            "URL of the file": f"http://127.0.0.1:{server.server_port}/{name}",
        }
        # A table that was fetched by itself has no photos beside it.
        photos = 0 if source == "URL of the file" else 3
        result = run("seed", places[source], "--no-wait", "--json", ends=0 if photos else 1)
    report = last_line(result)
    assert report["products"] == {"read": 2, "accepted": 2, "rejected": 0}
    assert report["photos"]["accepted"] == photos
    assert counts(data_dir)[0] == 2


def test_the_same_table_is_the_same_feed_seeded_or_cleaned(tmp_path: Path, run: Run) -> None:
    name, export = EXPORTS["WooCommerce"]
    write_photos(tmp_path)
    (tmp_path / name).write_text(export(""), encoding="utf-8", newline="")
    run("clean", tmp_path / name, tmp_path / "out")
    run("seed", tmp_path / "out", "--no-wait")
    again = last_line(run("seed", tmp_path / name, "--no-wait", "--json", "--feed", "out"))
    assert again["listings"]["created"] == 2
    # A draft is no fault: the command has done what there was to do.
    assert again["products"] == {"read": 3, "accepted": 2, "rejected": 1}
    assert [one["reason"] for one in again["not_offered"]] == ["is not published"]
    run("clean", tmp_path / name, tmp_path / "named", "--feed", "shop")
    run("seed", tmp_path / "named", "--no-wait", "--feed", "shop")
    same = last_line(run("seed", tmp_path / name, "--no-wait", "--json", "--feed", "shop"))
    assert same["listings"]["unchanged"] == 2


def test_a_dry_run_shows_how_each_column_was_understood(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "shop.csv"
    file.write_text("sku;name;prise;price\n1;Lamp;x;1.250,00\n2;Chair;y;30,00\n")
    shown = run("seed", file, "--dry-run").stdout
    assert "delimiter: semicolons" in shown
    assert "decimals: comma" in shown
    for words in ("sku", "Lamp", "1250.00 GBP", "call it price if it is the price"):
        assert words in shown
    (table,) = last_line(run("seed", file, "--dry-run", "--json"))["tables"]
    assert [(column["column"], column["field"]) for column in table["columns"]] == [
        *(("sku", "id"), ("name", "title"), ("prise", None), ("price", "price"))
    ]
    assert table["columns"][3]["examples"] == ["1250.00 GBP", "30.00 GBP"]


def test_a_dry_run_says_what_a_seed_would_do_and_leaves_no_trace(
    tmp_path: Path, data_dir: Path, run: Run
) -> None:
    folder = simple_feed(tmp_path / "feed", 3)
    before = files(tmp_path)
    expected = {"listings": 3, "photos": 6, "categories": 2}
    assert last_line(run("seed", folder, "--dry-run", "--json"))["written"] == expected
    assert files(tmp_path) == before

    run("seed", folder, "--no-wait")
    before = files(tmp_path)
    changed = [product_row(1, price="£6.00"), product_row(2), product_row(4)]
    (folder / "Products.csv").write_bytes(to_csv([PRODUCT_HEADER, *changed]))
    report = last_line(run("seed", folder, "--dry-run", "--json", "--prune", ends=1))
    assert report["listings"] == {"created": 1, "updated": 1, "unchanged": 1, "pruned": 1}
    assert report["photos"] == {"read": 6, "accepted": 4, "rejected": 2}
    assert files(tmp_path) == before
    assert counts(data_dir)[0] == 3


def test_without_weights_nothing_is_written(
    tmp_path: Path, data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETLENS_ENCODER", "resnet50")
    monkeypatch.setenv("MARKETLENS_WEIGHTS", str(tmp_path / "nothing.safetensors"))
    simple_feed(tmp_path / "feed", 1)
    for source in (tmp_path / "feed", f"file://{tmp_path / 'feed'}"):
        result = run("seed", source, "--json", ends=2)
        assert "nothing.safetensors" in result.stderr
        assert "nothing.safetensors" in last_line(result)["error"]
        assert not data_dir.exists()


@pytest.mark.parametrize("command", [("seed",), ("clean", "out")])
def test_a_folder_that_is_no_feed_is_refused(
    tmp_path: Path, run: Run, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *rest = command
    result = run(name, tmp_path / "nowhere", *rest, ends=2)
    assert "There is no folder" in result.stderr
    assert not (tmp_path / "out" / "images.parquet").exists()


def test_two_seeds_of_one_feed_do_not_meet(tmp_path: Path, data_dir: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    (data_dir / "intake" / "feed").mkdir(parents=True)
    with FileLock(data_dir / "intake" / "feed" / "lock"):
        assert "Another run is using" in run("seed", folder, "--no-wait", ends=2).stderr
        run("seed", folder, "--no-wait", "--feed", "another")


def test_pruning_is_by_name_of_the_feed(tmp_path: Path, run: Run) -> None:
    monday, tuesday = simple_feed(tmp_path / "monday", 3), tmp_path / "tuesday"
    run("seed", monday, "--no-wait", "--feed", "daily")
    shutil.copytree(monday, tuesday)
    (tuesday / "Products.csv").write_bytes(to_csv([PRODUCT_HEADER, product_row(1), product_row(2)]))

    def seed(*options: str) -> dict[str, Any]:
        listings = last_line(run("seed", tuesday, "--json", "--prune", *options, ends=1))[
            "listings"
        ]
        assert isinstance(listings, dict)
        return listings

    assert seed("--dry-run")["pruned"] == 0
    assert seed("--no-wait", "--feed", "daily") == {
        "created": 0,
        "updated": 0,
        "unchanged": 2,
        "pruned": 1,
    }


def listings_by_feed(data_dir: Path) -> dict[str | None, int]:
    """How many listings of each feed are shown."""
    database = Database(f"sqlite:///{data_dir / 'marketlens.db'}")
    with database.read() as session:
        rows = session.execute(
            select(Listing.feed, func.count())
            .where(Listing.status == ListingStatus.ACTIVE)
            .group_by(Listing.feed)
        )
        counted = {row[0]: row[1] for row in rows}
    database.close()
    return counted


def test_feeds_in_another_script_are_kept_apart(tmp_path: Path, data_dir: Path, run: Run) -> None:
    one, other = (simple_feed(tmp_path / name, 0, photos_each=0) for name in ("каталог", "商品"))
    for folder, numbers in ((one, (1, 2)), (other, (3, 4, 5))):
        rows = [product_row(number) for number in numbers]
        (folder / "Products.csv").write_bytes(to_csv([PRODUCT_HEADER, *rows]))
        run("seed", folder, "--no-wait")
    (other / "Products.csv").write_bytes(to_csv([PRODUCT_HEADER, product_row(3), product_row(4)]))
    tried = run("seed", other, "--dry-run", "--prune")
    told = run("seed", other, "--no-wait", "--prune", "--json")
    for result in (tried, told):
        said = " ".join(result.stderr.split())
        assert f"1 listings of feed '商品' (last seeded from {other}) are to be taken out" in said
    assert last_line(told)["prune"] == {"feed": "商品", "listings": 1}
    assert listings_by_feed(data_dir) == {"каталог": 2, "商品": 2}
    assert (data_dir / "reports" / "商品-rejects.csv").is_file()


def test_both_unicode_forms_of_a_folder_s_name_are_one_feed(
    tmp_path: Path, data_dir: Path, run: Run
) -> None:
    folder = simple_feed(tmp_path / unicodedata.normalize("NFD", "Möbel"), 2, photos_each=0)
    run("seed", folder, "--no-wait")
    composed = folder.rename(tmp_path / "Möbel")
    run("seed", composed, "--no-wait")
    run("seed", composed, "--no-wait", "--feed", unicodedata.normalize("NFD", "Möbel"))
    assert listings_by_feed(data_dir) == {"Möbel": 2}


def test_a_zip_as_macos_and_windows_make_them_is_seeded(tmp_path: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    files_of_feed = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in files(folder)
    }
    macos = {f"feed/{name}": data for name, data in files_of_feed.items()}
    macos |= {"feed/Icon\r": b"", "__MACOSX/feed/._Icon\r": b"x", "feed/images/.DS_Store": b"x"}
    windows = {f"feed\\{name}".replace("/", "\\"): data for name, data in files_of_feed.items()}
    windows |= {"feed\\images\\": b"", "README.txt": b"Read me.", "feed\\Thumbs.db": b"x"}
    for name, packed in (("macos", macos), ("windows", windows)):
        archive = pack_zip(tmp_path / f"{name}.zip", packed)
        report = last_line(run("seed", archive, "--dry-run", "--json"))
        assert report["photos"] == {"read": 4, "accepted": 4, "rejected": 0}


def test_photos_are_found_in_any_case_or_named(tmp_path: Path, data_dir: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 3, photos_each=1)
    (folder / "images").rename(folder / "Images")
    one, other, third = sorted((folder / "Images").iterdir())
    one.rename(one.with_suffix(".JPG"))
    other.rename(other.with_name(f"{other.stem.upper()}.jpeg"))
    third.unlink()
    report = last_line(run("seed", folder, "--no-wait", "--json", ends=1))
    assert report["photos"] == {"read": 3, "accepted": 2, "rejected": 1}
    assert [reason["reason"] for reason in report["reasons"]] == ["There is no such photo file"]
    (reject,) = read_rejects(data_dir / "reports" / "feed-rejects.csv")
    assert f"images/{third.name}".lower() in reject.reason.lower()


def test_too_much_to_prune_is_a_problem_until_it_is_forced(tmp_path: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 3, photos_each=0)
    run("seed", folder, "--no-wait")
    (folder / "Products.csv").write_bytes(to_csv([PRODUCT_HEADER, product_row(1)]))
    for options in (["--no-wait"], ["--dry-run"]):
        refused = run("seed", folder, "--prune", *options, ends=1)
        assert "2 of 3 listings are not in the feed any more" in refused.stderr
    told = last_line(run("seed", folder, "--no-wait", "--prune", "--json", ends=1))
    assert len(told["problems"]) == 1
    forced = last_line(run("seed", folder, "--no-wait", "--json", "--prune", "--force"))
    assert forced["written"]["listings"] == 2


def test_an_archive_is_unpacked_and_seeded_under_its_name(
    tmp_path: Path, data_dir: Path, run: Run
) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    archive = shutil.make_archive(str(tmp_path / "monday"), "zip", folder)
    report = last_line(run("seed", archive, "--no-wait", "--json"))
    assert report["photos"] == {"read": 4, "accepted": 4, "rejected": 0}
    assert (data_dir / "reports" / "monday-rejects.csv").is_file()


def test_a_feed_is_seeded_from_where_it_is(
    tmp_path: Path, data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    simple_feed(tmp_path / "there" / "monday", 2)
    with file_server(tmp_path / "there") as server:
        url = f"http://127.0.0.1:{server.server_port}/monday"
        before = files(tmp_path)
        expected = {"listings": 2, "photos": 4, "categories": 2}
        assert last_line(run("seed", url, "--dry-run", "--json"))["written"] == expected
        assert files(tmp_path) == before
        assert last_line(run("seed", url, "--no-wait", "--json"))["written"] == expected
        again = last_line(run("seed", url, "--no-wait", "--json"))
    assert again["written"] == {"listings": 0, "photos": 0, "categories": 0}
    (copy,) = (data_dir / "feeds").iterdir()
    assert copy.name.startswith("monday-")


def test_sources_of_one_name_are_kept_apart(tmp_path: Path, data_dir: Path, run: Run) -> None:
    del data_dir
    one, two = (simple_feed(tmp_path / where / "feed", 2) for where in ("one", "two"))
    shutil.rmtree(two / "images")
    run("seed", f"file://{one}", "--no-wait", "--feed", "one")
    report = last_line(run("seed", f"file://{two}", "--no-wait", "--feed", "two", "--json", ends=1))
    assert report["photos"] == {"read": 4, "accepted": 0, "rejected": 4}
    assert "no folder images" in report["notes"][0]


@pytest.mark.parametrize("name", ["../evil", "/evil", ".", "", "a/b", "x" * 101, "a\0b"])
def test_the_name_of_a_feed_is_no_path(tmp_path: Path, data_dir: Path, run: Run, name: str) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    before = files(tmp_path)
    assert "can't be a feed's name" in run("seed", folder, "--feed", name, ends=2).stderr
    assert files(tmp_path) == before
    assert not data_dir.exists()


def test_a_password_in_a_url_makes_no_folder(data_dir: Path, run: Run) -> None:
    for source in ("file://user:hunter2@host", "http://user:hunter2@host/feed"):
        result = run("seed", source, ends=2)
        assert "hunter2" not in result.output
        assert not data_dir.exists()


def test_a_link_has_a_name_of_its_own(tmp_path: Path, data_dir: Path, run: Run) -> None:
    (tmp_path / "current").symlink_to(simple_feed(tmp_path / "2030-01-01", 1))
    run("seed", tmp_path / "current", "--no-wait")
    assert (data_dir / "reports" / "current-rejects.csv").is_file()


def test_what_can_not_be_written_is_not_done(tmp_path: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    (tmp_path / "file").write_text("in the way")
    assert "marketlens: " in run("clean", folder, tmp_path / "file", ends=2).stderr
    run("seed", folder, "--no-wait")
    missing = tmp_path / "nowhere" / "categories.json"
    assert "nowhere" in run("categories", "export", missing, ends=2).stderr


def test_a_feed_is_not_cleaned_into_itself(tmp_path: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    assert "its own folder" in run("clean", folder, f"{folder}/../feed", ends=2).stderr
    assert not (folder / "products.parquet").exists()


def test_what_is_done_here_can_not_be_left_to_others(tmp_path: Path, run: Run) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    run("seed", folder, "--inline", "--no-wait", ends=2)


def test_a_seed_in_process_ends_with_an_index_and_needs_no_broker(
    tmp_path: Path, data_dir: Path, run: Run
) -> None:
    report = last_line(run("seed", simple_feed(tmp_path / "feed", 3), "--inline", "--json"))
    assert (report["queued"], report["embedded"]) == (6, 6)
    database = Database(f"sqlite:///{data_dir / 'marketlens.db'}")
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Embedding)) == 6
        assert set(session.scalars(select(Job.status))) == {JobStatus.SUCCEEDED}
        (generation,) = session.scalars(select(Generation))
        assert (generation.status, generation.rows) == (GenerationStatus.LIVE, 6)
    database.close()


def test_a_feed_is_cleaned_into_a_folder_that_can_be_seeded(tmp_path: Path, run: Run) -> None:
    folder, out = simple_feed(tmp_path / "feed", 3), tmp_path / "out"
    before = files(tmp_path)
    assert last_line(run("clean", folder, out, "--dry-run", "--json"))["written"]["photos"] == 6
    assert files(tmp_path) == before

    report = last_line(run("clean", folder, out, "--json"))
    assert report["written"] == {"listings": 3, "photos": 6, "categories": 2}
    assert json.loads((out / "report.json").read_text())["products"] == report["products"]
    assert {"products.parquet", "images.parquet", "rejects.csv"} <= {
        path.name for path in out.iterdir()
    }
    assert last_line(run("seed", out, "--no-wait", "--json"))["written"]["photos"] == 6
    assert "clean already" in run("clean", out, tmp_path / "again", ends=2).stderr


def test_a_feed_is_fetched(tmp_path: Path, run: Run) -> None:
    source, copy = simple_feed(tmp_path / "feed", 2), tmp_path / "copy"
    found = last_line(run("fetch", source, copy, "--dry-run", "--json"))
    assert (found["found"], found["fetched"], copy.exists()) == (6, 6, False)
    assert "6 found, 6 copied" in run("fetch", source, copy).stdout
    assert (copy / "Products.csv").read_bytes() == (source / "Products.csv").read_bytes()
    again = last_line(run("fetch", source, copy, "--json"))
    assert (again["fetched"], again["unchanged"]) == (0, 6)


def test_categories_are_exported_both_ways(tmp_path: Path, run: Run) -> None:
    run("seed", simple_feed(tmp_path / "feed", 1), "--no-wait")
    expected = {
        "ids": {"Home & Garden": 1, "Home & Garden / Lighting": 2},
        "paths": {"1": "Home & Garden", "2": "Home & Garden / Lighting"},
        "parents": {"1": None, "2": 1},
    }
    assert json.loads(run("categories", "export").stdout) == expected
    assert last_line(run("categories", "export", "--json")) == expected
    file = tmp_path / "categories.json"
    assert "would be in" in run("categories", "export", file, "--dry-run").stdout
    assert not file.exists()
    run("categories", "export", file)
    assert json.loads(file.read_text()) == expected


def test_a_reconciliation_ends_with_what_it_found(tmp_path: Path, data_dir: Path, run: Run) -> None:
    run("seed", simple_feed(tmp_path / "feed", 2), "--inline")
    assert "agree" in run("reconcile").stdout
    next((data_dir / "photos").rglob("*.jpg")).unlink()
    found = last_line(run("reconcile", "--json", ends=1))
    assert found["findings"]["missing_photos"]["count"] == 1
    run("reconcile", "--repair", ends=1)
    run("seed", tmp_path / "feed", "--inline")
    run("reconcile", "--verify")


def test_a_repair_that_would_empty_the_store_wants_to_be_forced(
    tmp_path: Path, data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("seed", simple_feed(tmp_path / "feed", 3), "--no-wait")
    monkeypatch.setenv("MARKETLENS_DATABASE_URL", f"sqlite:///{tmp_path / 'wrong.db'}")
    upgrade(f"sqlite:///{tmp_path / 'wrong.db'}")
    photos = list((data_dir / "photos").rglob("*.jpg"))
    for photo in photos:
        os.utime(photo, (0, 0))
    assert "6 of the 6 photos" in run("reconcile", "--repair", ends=2).stderr
    assert all(photo.exists() for photo in photos)
    run("reconcile", "--repair", "--force")
    assert not any(photo.exists() for photo in photos)


def test_without_a_database_there_is_nothing_to_compare(run: Run, data_dir: Path) -> None:
    assert "marketlens migrate" in run("reconcile", ends=2).stderr
    assert "marketlens migrate" in run("categories", "export", ends=2).stderr
    assert not data_dir.exists()


def test_a_drawn_sample_is_a_feed_without_faults(tmp_path: Path, data_dir: Path, run: Run) -> None:
    run("sample", tmp_path / "sample", "--listings", "3", "--seed", "1")
    report = last_line(run("seed", tmp_path / "sample", "--no-wait", "--json"))
    assert report["products"] == {"read": 3, "accepted": 3, "rejected": 0}
    assert report["photos"]["rejected"] == 0
    assert report["photos"]["read"] >= 3
    assert counts(data_dir)[0] == 3
