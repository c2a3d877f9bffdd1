import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from etl.clean.rejects import Consequence, Reject, Rejects, Tally
from etl.report import CategoryCount, Cost, IntakeReport, as_json, reasons, summary
from tests.support.feeds import read_rejects

REJECTS = [
    Reject("Products.csv", 3, "a,b", "price", "is negative"),
    Reject("Products.csv", 5, "c", "price", "is negative"),
    Reject("Images.csv", 7, "", "", "is not valid [csv]: unexpected end"),
]
LEFT_OUT = [
    Reject("Products.csv", row, "d", "price", "is not a price", Consequence.LEFT_OUT)
    for row in (6, 7)
]
COST = Cost(seconds=0.5, peak_mb=123.45)


def report(rejects: list[Reject]) -> IntakeReport:
    with Rejects(None) as counted:
        counted.add(rejects)
    return IntakeReport(
        products=Tally(1_002, 1_000, 2),
        photos=Tally(11, 10, 1),
        categories=CategoryCount(7, 17),
        reasons=counted.reasons,
        notes=[],
        left_out=counted.left_out,
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
    for times in (2, 1):
        with Rejects(path) as rejects:
            rejects.add(REJECTS * times)
            rejects.finish()
    assert read_rejects(path) == REJECTS
    assert list(path.parent.iterdir()) == [path]


def test_rejects_of_a_run_that_fails_leave_those_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    with Rejects(path) as rejects:
        rejects.add(REJECTS)
        rejects.finish()
    with pytest.raises(RuntimeError), Rejects(path):
        raise RuntimeError
    assert read_rejects(path) == REJECTS
    assert list(path.parent.iterdir()) == [path]


def test_rejects_are_counted_by_file_and_by_reason() -> None:
    with Rejects(None) as rejects:
        rejects.add(REJECTS[:1])
        rejects.add(REJECTS[1:])
        rejects.add(LEFT_OUT)
    assert (rejects.count("Products.csv"), rejects.count("Images.csv")) == (2, 1)
    assert not rejects.not_offered
    assert rejects.left_out == Counter({("Products.csv", "price", "is not a price"): 2})
    assert rejects.reasons == Counter(
        {
            ("Products.csv", "price", "is negative"): 2,
            ("Images.csv", "", "is not valid [csv]: unexpected end"): 1,
        }
    )


def test_the_report_as_json_names_every_count() -> None:
    written = {"listings": 5, "photos": 4, "categories": 3}
    assert as_json(report([*REJECTS, *LEFT_OUT]), written, COST) == {
        "products": {"read": 1_002, "accepted": 1_000, "rejected": 2},
        "photos": {"read": 11, "accepted": 10, "rejected": 1},
        "incomplete_photos": 0,
        "categories": {"root": 7, "sub": 17},
        "written": {"listings": 5, "photos": 4, "categories": 3},
        "reasons": [
            {"file": "Products.csv", "field": "price", "reason": "is negative", "rows": 2},
            {
                "file": "Images.csv",
                "field": "",
                "reason": "is not valid [csv]: unexpected end",
                "rows": 1,
            },
        ],
        "left_out": [
            {"file": "Products.csv", "field": "price", "reason": "is not a price", "rows": 2}
        ],
        "not_offered": [],
        "tables": [],
        "seconds": 0.5,
        "peak_mb": 123.5,
    }


def test_the_summary_names_every_count_and_the_rate() -> None:
    shown = text(summary(report(REJECTS), "Seeded", {"Listings": "900 created"}, COST))
    assert "1,002 read, 1,000 accepted, 2 rejected" in shown
    assert "11 read, 10 accepted, 1 rejected" in shown
    assert "7 roots, 17 below" in shown
    assert "900 created" in shown
    assert "0.5 s, 2,026 rows a second" in shown
    assert "123 MB at most" in shown


def test_photos_that_lack_pixels_are_counted_where_there_are_some() -> None:
    some = replace(report([]), incomplete_photos=1_003)
    assert as_json(some, {}, COST)["incomplete_photos"] == 1_003
    assert "1,003 of them lack some of their pixels" in text(summary(some, "Seeded", {}, COST))
    assert "pixels" not in text(summary(report([]), "Seeded", {}, COST))


def test_reasons_are_counted_and_the_rare_ones_summed_up() -> None:
    many = [Reject("Images.csv", row, "", "photo", f"reason {row}") for row in range(20)]
    shown = text(reasons(report([*REJECTS, *REJECTS[:1] * 3, *many])))
    lines = [line for line in shown.splitlines() if "is negative" in line]
    assert len(lines) == 1
    assert " 5 " in lines[0]
    assert "is not valid [csv]: unexpected end" in shown
    assert any(" 12 " in line and "other reasons" in line for line in shown.splitlines())
