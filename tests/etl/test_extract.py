import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.extract import extract, read_table
from models.errors import InvalidFeed
from tests.support.feeds import simple_feed

COLUMNS = ("id", "name")


def table(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "Things.csv"
    path.write_bytes(content)
    return path


def rows(path: Path, columns: Sequence[str] = COLUMNS) -> list[list[str]]:
    frame = read_table(path, columns).frame
    cells: list[list[str]] = frame.to_numpy().tolist()
    return cells


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b",id,name\n0,a,Ann\n1,b,Bob\n", [["a", "Ann"], ["b", "Bob"]]),
        (b"\xef\xbb\xbfid,name\na,Ann\n", [["a", "Ann"]]),
        (b"name,extra,id\nAnn,x,a\n", [["a", "Ann"]]),
        (b"id,name\na,Ann", [["a", "Ann"]]),
        (b"id,name\n\na,Ann\n\n", [["a", "Ann"]]),
        (b"id,name\na,Ann\rSmith\rJr\n", [["a", "Ann\u2028Smith\u2028Jr"]]),
        (b'id,name\na,"Ann\nSmith, ""Jr"""\nb,Bob\n', [["a", 'Ann\nSmith, "Jr"'], ["b", "Bob"]]),
        (b"id,name\na,N/A\nb,\n", [["a", "N/A"], ["b", ""]]),
        ("id,name\na,Zoë 🛋️\n".encode(), [["a", "Zoë 🛋️"]]),
        (b"id,name\n", []),
    ],
)
def test_tables_are_read_as_written(
    tmp_path: Path, content: bytes, expected: list[list[str]]
) -> None:
    assert rows(table(tmp_path, content)) == expected


def test_windows_line_ends_are_of_no_account(tmp_path: Path) -> None:
    read = read_table(table(tmp_path, b"id,name\r\na,Ann\r\n\r\n"), COLUMNS)
    assert read.frame.loc[2].str.strip().tolist() == ["a", "Ann"]
    assert (read.rows, read.rejects) == (1, [])


@pytest.mark.parametrize(
    ("content", "rejected", "kept"),
    [
        (b"id,name\na\nb,Bob\n", {2: "field count is 1, the header's is 2"}, {3: "b"}),
        (b"id,name\nb,Bob\na,Ann,x\n", {3: "field count is 3, the header's is 2"}, {2: "b"}),
        (b'id,name\na,"Ann\nb,Bob\nc,Col\n', {2: "unexpected end of data"}, {3: "b", 4: "c"}),
        (b'id,name\na,"Ann\nb,"Bob"\nc,Col\n', {2: "expected after"}, {3: "b", 4: "c"}),
        (b'id,name\na,"Ann"x\nb,Bob\n', {2: "expected after"}, {3: "b"}),
        (
            b'id,name\na,"x\n' + b"y" * 200_000 + b"\nb,Bob\n",
            {2: "field larger", 3: "field larger"},
            {4: "b"},
        ),
        (b"id,name\n\nb,Bob\na\n", {4: "field count is 1"}, {3: "b"}),
    ],
)
def test_a_broken_row_is_rejected_by_its_number_and_takes_no_other_along(
    tmp_path: Path, content: bytes, rejected: dict[int, str], kept: dict[int, str]
) -> None:
    read = read_table(table(tmp_path, content), COLUMNS)
    assert [reject.row for reject in read.rejects] == list(rejected)
    for reject in read.rejects:
        assert rejected[reject.row] in reject.reason
        assert reject.file == "Things.csv"
    assert dict(read.frame["id"]) == kept
    assert read.rows == len(rejected) + len(kept)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "Things.csv lacks the columns id, name."),
        (b"\n\n", "Things.csv lacks the columns id, name."),
        (b"id,title\na,b\n", "Things.csv lacks the columns name."),
        (b'"id,name\na,b\n', "Things.csv does not begin with a CSV header"),
        (b"id,name\na,b\nc,\xff\n", "Things.csv is not UTF-8: its line 3 can't be decoded."),
        ("id,name\na,b\n".encode("utf-16"), "Things.csv is not UTF-8: its line 1"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidFeed, match=re.escape(sentence)):
        read_table(table(tmp_path, content), COLUMNS)


@pytest.mark.parametrize("missing", ["Products.csv", "Images.csv"])
def test_a_feed_without_one_of_its_tables_is_refused(tmp_path: Path, missing: str) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    (folder / missing).unlink()
    with pytest.raises(InvalidFeed, match=f"{missing} is missing"):
        extract(folder)


def test_what_is_not_a_folder_or_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFeed, match="There is no folder"):
        extract(tmp_path / "nowhere")
    (tmp_path / "feed" / "Products.csv").mkdir(parents=True)
    with pytest.raises(InvalidFeed, match=r"Products.csv can't be read"):
        extract(tmp_path / "feed")


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(content=st.lists(st.sampled_from(['"', ",", "\n", "\r", "a", "é", "\x00"])).map("".join))
def test_no_row_is_lost_whatever_the_file_holds(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    path = table(tmp_path_factory.mktemp("feed"), b"id,name\n" + content.encode())
    read = read_table(path, COLUMNS)
    assert read.rows == len(read.frame) + len(read.rejects)
    numbers = [*read.frame.index, *(reject.row for reject in read.rejects)]
    assert len(set(numbers)) == read.rows
    if '"' not in content:
        lines = [line for line in content.split("\n") if line.strip() or "," in line]
        assert read.rows == len(lines)
