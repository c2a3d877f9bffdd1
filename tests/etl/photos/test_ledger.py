import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from etl.photos import ledger as ledger_module
from etl.photos.ledger import Ledger
from etl.photos.photo_files import Kept, Outcome, PhotoFile, Refused
from models.domain.errors import SetupError

FILE = PhotoFile("/feed/images/1.jpg", 1_000, 1_700_000_000_000_000_001)
KEPT = Kept("ab" * 32, 512, 384)
REFUSED = Refused("The photo is empty.", lasting=True)


def reopened(path: Path, *files: PhotoFile) -> dict[PhotoFile, Outcome]:
    with Ledger(path) as ledger:
        return ledger.lookup(files)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "ledger.db"


@pytest.mark.parametrize("outcome", [KEPT, replace(KEPT, incomplete=True), REFUSED])
def test_an_outcome_is_remembered(path: Path, outcome: Outcome) -> None:
    other = FILE._replace(path="/feed/images/2.jpg")
    with Ledger(path) as ledger:
        assert ledger.lookup([FILE]) == {}
        ledger.record(FILE, outcome)
        assert ledger.lookup([FILE, other]) == {FILE: outcome}
    assert reopened(path, other, FILE) == {FILE: outcome}


@pytest.mark.parametrize(
    "changed",
    [
        FILE._replace(path="/feed/images/2.jpg"),
        FILE._replace(size=1_001),
        FILE._replace(mtime_ns=FILE.mtime_ns + 1),
    ],
)
def test_a_file_that_is_not_the_same_is_not_known(path: Path, changed: PhotoFile) -> None:
    with Ledger(path) as ledger:
        ledger.record(FILE, KEPT)
        assert ledger.lookup([changed]) == {}


def test_another_standard_form_makes_everything_unknown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger(path) as ledger:
        ledger.record(FILE, KEPT)
        monkeypatch.setattr(ledger_module, "STANDARD_FORM", "another")
        assert ledger.lookup([FILE]) == {}


def test_the_last_outcome_counts(path: Path) -> None:
    changed = FILE._replace(size=2_000)
    with Ledger(path) as ledger:
        ledger.record(FILE, REFUSED)
        ledger.record(changed, KEPT)
        assert ledger.lookup([FILE, changed]) == {changed: KEPT}


def test_a_refusal_that_need_not_last_is_not_remembered(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record(FILE, Refused("The photo file can't be read."))
        assert ledger.lookup([FILE]) == {}


def test_paths_need_not_be_text(path: Path) -> None:
    odd = FILE._replace(path=os.fsdecode(b"/feed/\xff/1.jpg"))
    with Ledger(path) as ledger:
        ledger.record(odd, KEPT)
    assert reopened(path, odd) == {odd: KEPT}


def test_two_runs_may_share_a_ledger(path: Path) -> None:
    other = FILE._replace(path="/feed/images/2.jpg")
    with Ledger(path) as one, Ledger(path) as two:
        one.record(FILE, KEPT)
        two.record(other, REFUSED)
        assert one.lookup([FILE, other]) == two.lookup([FILE, other])
        assert one.lookup([FILE, other]) == {FILE: KEPT, other: REFUSED}


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\0" + bytes(5_000)])
def test_a_damaged_ledger_says_that_it_may_be_deleted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"ledger\.db can't be used .* deleted"):
        reopened(path, FILE)


def test_a_ledger_in_an_impossible_place_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError):
        reopened(tmp_path / "file" / "ledger.db", FILE)


def test_a_ledger_of_an_earlier_release_is_written_anew(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE files (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, form TEXT, "
            "sha256 TEXT, width INTEGER, height INTEGER, reason TEXT) WITHOUT ROWID"
        )
    with Ledger(path) as ledger:
        assert ledger.lookup([FILE]) == {}
        ledger.record(FILE, KEPT)
    assert reopened(path, FILE) == {FILE: KEPT}
