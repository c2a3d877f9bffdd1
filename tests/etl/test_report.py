import csv
import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from db.listings import Written
from etl.rejects import Reject, Tally, write_rejects
from etl.report import CategoryCount, SeedReport, as_json, reasons, summary

REJECTS = [
    Reject("Products.csv", 3, "a,b", "price", "is negative"),
    Reject("Products.csv", 5, "c", "price", "is negative"),
    Reject("Images.csv", 7, "", "", "is not valid [csv]: unexpected end"),
]
REPORT = SeedReport(
    products=Tally(1_002, 1_000, 2),
    photos=Tally(11, 10, 1),
    categories=CategoryCount(7, 17),
    written=Written(900, 60, 40),
    queued=10,
    jobs=[],
    rejects=REJECTS,
)


def text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=120)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_a_tally_that_does_not_add_up_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="3 rows were read, but 1 accepted and 1 rejected"):
        Tally(read=3, accepted=1, rejected=1)


def test_rejects_are_written_over_those_of_an_earlier_run(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "feed-rejects.csv"
    write_rejects(path, REJECTS * 2)
    write_rejects(path, REJECTS)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert rows[0] == {
        "file": "Products.csv",
        "row": "3",
        "id": "a,b",
        "field": "price",
        "reason": "is negative",
    }


def test_the_report_as_json_names_every_count() -> None:
    assert as_json(REPORT, embedded=9, seconds=1.234) == {
        "products": {"read": 1_002, "accepted": 1_000, "rejected": 2},
        "photos": {"read": 11, "accepted": 10, "rejected": 1},
        "categories": {"root": 7, "sub": 17},
        "written": {"created": 900, "updated": 60, "unchanged": 40},
        "queued": 10,
        "embedded": 9,
        "seconds": 1.23,
    }


def test_the_summary_names_every_count() -> None:
    shown = text(summary(REPORT, embedded=9, seconds=1.234))
    assert "1,002 read, 1,000 accepted, 2 rejected" in shown
    assert "900 created, 60 updated, 40 unchanged" in shown
    assert "7 roots, 17 below" in shown
    assert "10 photos queued, 9 done" in shown


def test_reasons_are_counted_and_the_rare_ones_summed_up() -> None:
    many = [Reject("Images.csv", row, "", "photo", f"reason {row}") for row in range(20)]
    shown = text(reasons([*REJECTS, *REJECTS[:1] * 3, *many]))
    lines = [line for line in shown.splitlines() if "is negative" in line]
    assert len(lines) == 1
    assert " 5 " in lines[0]
    assert "is not valid [csv]: unexpected end" in shown
    assert any(" 12 " in line and "other reasons" in line for line in shown.splitlines())
