"""Fetching as such, from a local folder; other sources have their own tests."""

import fcntl
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from db.store.photo_store import PhotoStore
from etl.clean.feed import TableRows
from etl.fetch.remote.remote import BLOCK_BYTES
from etl.fetch.transfer import AT_ONCE, Fetched, fetch
from etl.load.cleaned_feed import CleanedFolder, CleanedWriter
from etl.load.pipeline import run_intake
from etl.load.sources import IntakeContext
from models.domain.errors import Conflict, InvalidFeed, SetupError
from tests.support.feeds import simple_feed
from tests.support.fetching import copy, feed_of, files_in, noise, sums_hold, write_files

FEED = feed_of(photos=40)
BIG = 9 * 2**20


class Interrupted(Exception):
    """Stands for a person's Ctrl-C."""


def copy_until(url: str | Path, folder: Path, enough: int) -> None:
    """Fetch until so many bytes are there."""

    def stop(done: int, _total: int) -> None:
        if done >= enough:
            raise Interrupted

    with pytest.raises(Interrupted):
        fetch(str(url), folder, dry_run=False, on_progress=stop)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "source", FEED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made" / "feed"


def test_a_folder_is_copied_and_then_left_alone(source: Path, folder: Path) -> None:
    first = copy(source, folder)

    assert files_in(folder) == FEED
    assert first == Fetched(42, 42, 0, sum(map(len, FEED.values())))
    assert sums_hold(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    assert copy(source, folder) == Fetched(42, 0, 42, 0)
    del before[folder / "images"], before[folder / ".fetch.jsonl"]
    assert before.items() <= {p: p.stat().st_mtime_ns for p in folder.rglob("*")}.items()


def test_a_file_url_is_a_path(tmp_path: Path, folder: Path) -> None:
    source = write_files(tmp_path / "with space", FEED)

    assert copy(source.as_uri(), folder).fetched == 42
    with pytest.raises(InvalidFeed, match=r"file:///"):
        copy("file://host/feed", folder)


def test_a_dry_run_counts_and_writes_nothing(source: Path, folder: Path) -> None:
    def plan() -> Fetched:
        return fetch(
            str(source), folder, dry_run=True, on_progress=lambda _done, _total: pytest.fail("told")
        )

    assert plan() == Fetched(42, 42, 0, sum(map(len, FEED.values())))
    assert not folder.exists()

    copy(source, folder)
    (folder / "images/0001.jpg").unlink()
    before = sorted(folder.rglob("*"))
    assert plan() == Fetched(42, 1, 41, len(FEED["images/0001.jpg"]))
    assert sorted(folder.rglob("*")) == before


def test_progress_counts_up_to_all_bytes(source: Path, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    fetch(
        str(source),
        folder,
        dry_run=False,
        on_progress=lambda done, total: told.append((done, total)),
    )

    total = sum(map(len, FEED.values()))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (total, total)


@pytest.mark.parametrize("damage", ["changed", "gone", "shorter", "added"])
def test_only_what_differs_is_copied_again(damage: str, source: Path, folder: Path) -> None:
    copy(source, folder)
    expected = dict(FEED)
    match damage:
        case "changed":
            expected["images/0007.jpg"] = noise(2_000, 99)
            (source / "images/0007.jpg").write_bytes(expected["images/0007.jpg"])
        case "gone":
            (folder / "images/0007.jpg").unlink()
        case "shorter":
            (folder / "images/0007.jpg").write_bytes(b"")
        case "added":
            expected["images/new.jpg"] = noise(3_000, 99)
            (source / "images/new.jpg").write_bytes(expected["images/new.jpg"])

    assert copy(source, folder).fetched == 1
    assert files_in(folder) == expected
    assert sums_hold(folder)


def test_a_file_that_left_the_source_stays_but_is_no_longer_summed(
    source: Path, folder: Path
) -> None:
    copy(source, folder)
    (source / "images/0007.jpg").unlink()

    assert copy(source, folder).found == 41
    assert (folder / "images/0007.jpg").exists()
    assert "0007" not in (folder / "SHA256SUMS").read_text()


def test_an_interrupted_copy_goes_on_where_it_stopped(source: Path, folder: Path) -> None:
    big = noise(BIG)
    write_files(source, {"Products.csv": big})
    copy_until(source, folder, 5 * 2**20)
    part = (folder / "Products.csv.part").stat().st_size
    assert 0 < part < BIG
    assert not (folder / "Products.csv").exists()

    assert copy(source, folder).bytes <= BIG - part + sum(map(len, FEED.values()))
    assert (folder / "Products.csv").read_bytes() == big
    assert not list(folder.rglob("*.part"))


def test_a_copy_begun_of_another_version_starts_over(source: Path, folder: Path) -> None:
    write_files(source, {"Products.csv": noise(BIG, 1)})
    copy_until(source, folder, 5 * 2**20)

    write_files(source, {"Products.csv": noise(BIG, 2)})
    copy(source, folder)

    assert (folder / "Products.csv").read_bytes() == noise(BIG, 2)


def test_a_part_that_nothing_is_known_of_starts_over(source: Path, folder: Path) -> None:
    write_files(folder, {"Products.csv.part": b"id,pr", "images/0001.jpg.part": b""})

    copy(source, folder)

    assert files_in(folder) == FEED


def test_a_rename_that_did_not_happen_is_made_up_for(source: Path, folder: Path) -> None:
    copy(source, folder)
    (folder / "Products.csv").rename(folder / "Products.csv.part")

    assert copy(source, folder) == Fetched(42, 1, 41, 0)
    assert files_in(folder) == FEED


def test_the_file_of_before_is_not_taken_for_its_renamed_successor(
    source: Path, folder: Path
) -> None:
    copy(source, folder)
    (folder / "images/0007.jpg").rename(folder / "images/0007.jpg.part")
    (folder / "images/0007.jpg").write_bytes(noise(2_000, 99))

    assert copy(source, folder).fetched == 1
    assert files_in(folder) == FEED


def test_a_line_that_was_cut_short_spares_the_next(tmp_path: Path, folder: Path) -> None:
    source = write_files(tmp_path / "big", {"Products.csv": noise(BIG)})
    write_files(folder, {".fetch.jsonl": b'{"name": "Prod'})
    copy_until(source, folder, 5 * 2**20)

    assert copy(source, folder).bytes < BIG


@pytest.mark.parametrize("cut", [b"", b'{"name": "Prod', b"[]\n", b'{"name": "x"}\n', b"\xff\n"])
def test_a_record_that_was_cut_short_costs_no_more_than_its_file(
    cut: bytes, source: Path, folder: Path
) -> None:
    copy(source, folder)
    record = folder / ".fetch.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:-1]) + cut)

    assert copy(source, folder).fetched == 1
    assert copy(source, folder).fetched == 0


def test_the_record_knows_each_line_by_its_file(source: Path, folder: Path) -> None:
    copy(source, folder)

    lines = (folder / ".fetch.jsonl").read_text().splitlines()
    assert {json.loads(line)["name"] for line in lines if line} == FEED.keys()


def test_sums_of_the_source_are_verified_and_the_bad_part_is_gone(
    source: Path, folder: Path
) -> None:
    copy(source, folder)
    shutil.copy(folder / "SHA256SUMS", source)
    (source / "images/0007.jpg").write_bytes(noise(2_000, 99))

    for _ in range(2):
        with pytest.raises(InvalidFeed, match=r"images/0007\.jpg .* damaged: its SHA-256"):
            copy(source, folder)
    assert (folder / "images/0007.jpg").read_bytes() == FEED["images/0007.jpg"]
    assert not list(folder.rglob("*.part"))


def test_after_a_failure_nothing_more_is_copied(tmp_path: Path, folder: Path) -> None:
    feed = feed_of(photos=2_000, photo_bytes=10)
    source = write_files(tmp_path / "many", feed)
    calls = 0

    def break_once(_done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Interrupted
        # Time for the thread that broke, which needs no more than to be scheduled.
        time.sleep(0.001)

    with pytest.raises(Interrupted):
        fetch(str(source), folder, dry_run=False, on_progress=break_once)

    assert calls < len(feed) // 2


def test_the_failure_that_is_raised_is_the_first(tmp_path: Path, folder: Path) -> None:
    source = write_files(
        tmp_path / "large", feed_of(photos=AT_ONCE * 2, photo_bytes=4 * BLOCK_BYTES)
    )
    others = Event()

    def break_once(done: int, _total: int) -> None:
        if done > AT_ONCE // 2 * BLOCK_BYTES and not others.is_set():
            others.set()
            raise Interrupted

    for _ in range(5):
        others.clear()
        with pytest.raises(Interrupted):
            fetch(str(source), folder, dry_run=False, on_progress=break_once)
        shutil.rmtree(folder)


def test_a_copy_that_the_sums_disown_is_made_again(source: Path, folder: Path) -> None:
    (source / "images/0007.jpg").write_bytes(noise(2_000, 99))
    times = (source / "images/0007.jpg").stat()
    copy(source, folder)
    good = folder.parent / "good"
    copy(write_files(folder.parent / "other", FEED), good)
    shutil.copy(good / "SHA256SUMS", source)
    (source / "images/0007.jpg").write_bytes(FEED["images/0007.jpg"])
    os.utime(source / "images/0007.jpg", ns=(times.st_atime_ns, times.st_mtime_ns))

    assert copy(source, folder).fetched == 1
    assert files_in(folder) == FEED


def test_sums_of_files_that_are_not_there_are_an_error(source: Path, folder: Path) -> None:
    (source / "SHA256SUMS").write_text(f"{'0' * 64} *./images/lost.jpg\r\n")

    with pytest.raises(InvalidFeed, match=r"lists 'images/lost\.jpg', which is not there"):
        copy(source, folder)


def test_sums_of_hidden_files_are_passed_over_like_them(source: Path, folder: Path) -> None:
    (source / "SHA256SUMS").write_text(f"{'0' * 64}  images/.DS_Store\n")

    assert copy(source, folder).fetched == 42


def test_sums_that_are_none_are_an_error(source: Path, folder: Path) -> None:
    (source / "SHA256SUMS").write_text(f"{'0' * 64}  Products.csv\nnonsense\n")

    with pytest.raises(InvalidFeed, match=r"SHA256SUMS of .* can't be read at line 2"):
        copy(source, folder)


@pytest.mark.parametrize("name", ["export.csv", "Export 1.TSV", "feed.xml", "x.parquet"])
def test_one_table_is_a_feed(name: str, tmp_path: Path, folder: Path) -> None:
    write_files(tmp_path / "there", {name: noise(100), "other.csv": b"x", "images/x.jpg": b"x"})
    table = tmp_path / "there" / name

    assert copy(table, folder) == Fetched(1, 1, 0, 100)
    assert files_in(folder) == {name: noise(100)}
    assert sums_hold(folder)
    assert copy(table, folder) == Fetched(1, 0, 1, 0)
    table.write_bytes(noise(200, 1))
    assert copy(table, folder) == Fetched(1, 1, 0, 200)
    assert files_in(folder) == {name: noise(200, 1)}


def test_what_systems_leave_behind_in_a_folder_is_not_copied(source: Path, folder: Path) -> None:
    left = {"Icon\r": b"", "images/Icon\r": b"", "images/.DS_Store": b"x", "Thumbs.db": b"x"}
    write_files(source, left | {"@eaDir/x.jpg/thumb.jpg": b"x"})

    copy(source, folder)

    assert files_in(folder) == FEED


def test_what_is_not_there_or_no_feed_is_said(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InvalidFeed, match=r"There is no .*/nowhere\.$"):
        copy(tmp_path / "nowhere", folder)
    with pytest.raises(InvalidFeed, match=r"There is no .*/nowhere\.zip\.$"):
        copy(tmp_path / "nowhere.zip", folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InvalidFeed, match=r"empty is not a feed: it holds nothing, but no table: no Products\.csv"
    ):
        copy(tmp_path / "empty", folder)
    with pytest.raises(InvalidFeed, match="ftp is none of file, s3, sftp, http, https"):
        copy("ftp://me:hush@host/feed", folder)


def test_a_pipe_in_the_feed_is_refused(source: Path, folder: Path) -> None:
    os.mkfifo(source / "images/pipe.jpg")

    with pytest.raises(InvalidFeed, match=r"images/pipe\.jpg, which is no regular file"):
        copy(source, folder)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("top", [".", "cleaned"])
def test_a_cleaned_feed_is_fetched_too(
    packed: bool, top: str, tmp_path: Path, folder: Path, intake_context: IntakeContext
) -> None:
    source = tmp_path / "source"
    cleaned = source / top
    place = replace(
        intake_context,
        scratch=cleaned / ".work",
        ledger=cleaned / ".work/photos.db",
        rejects=cleaned / "rejects.csv",
        store=PhotoStore(str(cleaned / "photos")),
    )
    run_intake(
        simple_feed(tmp_path / "feed", 3),
        CleanedWriter(cleaned, cleaned / ".work"),
        place,
        locate=dict.fromkeys,
        on_progress=lambda stage, done, total: None,  # noqa: ARG005 - shows nothing
    )
    if packed:
        source = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", source))

    copy(source, folder)

    whole = {n: data for n, data in files_in(cleaned).items() if not n.startswith(".work/")}
    assert files_in(folder) == whole
    assert CleanedFolder(folder).rows() == TableRows(3, 6)
    assert list((folder / "photos").rglob("*.jpg"))


@pytest.mark.parametrize("missing", ["products.parquet", "images.parquet", "rejects.csv"])
def test_half_a_cleaned_feed_is_none(missing: str, tmp_path: Path, folder: Path) -> None:
    names = {"products.parquet", "images.parquet", "rejects.csv"} - {missing}
    source = write_files(tmp_path / "half", dict.fromkeys(names, b"PAR1"))

    with pytest.raises(InvalidFeed, match=rf"half is not a feed: .* {missing}"):
        copy(source, folder)


@pytest.mark.parametrize(
    "url",
    [
        "file://user:hush@host/x",
        "file://user:hush@host/x.zip",
        "sftp:///x?token=hush",
        "sftp://?token=hush",
        "s3://hush@bucket/x",
        "http://hush@host/x",
        "http://host/x?token=hush",
        "http://host:port/x.zip?token=hush",
        "ftp://me:hush@host/x",
    ],
)
def test_no_error_repeats_what_is_secret_in_a_url(url: str, folder: Path) -> None:
    with pytest.raises(InvalidFeed) as refused:
        copy(url, folder)

    assert "hush" not in str(refused.value)
    assert not folder.exists()


def test_links_in_the_feed_are_followed(source: Path, folder: Path) -> None:
    (source / "images").rename(source.with_name("elsewhere"))
    (source / "images").symlink_to(source.with_name("elsewhere"))
    (source / "Images.csv").rename(source / ".Images.csv")
    (source / "Images.csv").symlink_to(".Images.csv")

    copy(source, folder)

    assert files_in(folder) == FEED
    assert not (folder / "images").is_symlink()
    assert not (folder / "Images.csv").is_symlink()


def test_folders_that_lead_round_in_circles_are_refused(source: Path, folder: Path) -> None:
    (source / "images/again").symlink_to(source)

    with pytest.raises(InvalidFeed, match="folders too deep"):
        copy(source, folder)


@pytest.mark.parametrize("inside", [".", "copy", "images/copy"])
def test_a_folder_is_not_copied_into_itself(inside: str, source: Path) -> None:
    with pytest.raises(InvalidFeed, match="lies in the feed"):
        copy(source, source / inside)


def test_one_fetch_at_a_time_works_on_a_folder(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(Conflict, match=r"Another fetch into .* is under way"):
            copy(source, folder)
    finally:
        os.close(descriptor)
    assert copy(source, folder).fetched == 42


def test_a_folder_that_can_not_be_written_is_said(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SetupError, match=r"file/feed can't be written: Not a directory\."):
        copy(source, tmp_path / "file" / "feed")
