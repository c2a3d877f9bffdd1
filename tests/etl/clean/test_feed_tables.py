import csv
import re
from pathlib import Path

import pytest

from etl.clean.feed_tables import PRODUCTS, Chunk, Table, TableSpec, open_table
from models.domain.errors import InvalidFeed
from tests.support.feeds import listing_id, product_row, simple_feed

THINGS = TableSpec("Things.csv", ("id", "name"))
A, B, C = (str(listing_id(number)) for number in (1, 2, 3))


def table(tmp_path: Path, content: bytes | str, spec: TableSpec = THINGS) -> Table:
    path = tmp_path / spec.name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_table(path, spec)


def read(tmp_path: Path, content: bytes | str, spec: TableSpec = THINGS) -> Chunk:
    """All of a small table."""
    (chunk,) = table(tmp_path, content, spec).chunks(1_000)
    return chunk


def rows(chunk: Chunk) -> list[list[str]]:
    cells: list[list[str]] = chunk.frame.to_numpy().tolist()
    return cells


def reasons(chunk: Chunk) -> dict[int, str]:
    return {reject.row: reject.reason for reject in chunk.rejects}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b",id,name\n0,a,Ann\n1,b,Bob\n", [["a", "Ann"], ["b", "Bob"]]),
        (b"name,extra,id\nAnn,x,a\n", [["a", "Ann"]]),
        (b" ID ,Name\na,Ann\n", [["a", "Ann"]]),
        (b'"id","name"\n"a","Ann"\n', [["a", "Ann"]]),
        (b"id,name\na,Ann", [["a", "Ann"]]),
        (b"id,name\n\na,Ann\n \n", [["a", "Ann"]]),
        (b"id,name\na,Ann\rSmith\rJr\n", [["a", "Ann\vSmith\vJr"]]),
        (b'id,name\na,"Ann\rSmith"\n', [["a", "Ann\vSmith"]]),
        (b'id,name\na,"Ann\nSmith, ""Jr"""\nb,Bob\n', [["a", 'Ann\nSmith, "Jr"'], ["b", "Bob"]]),
        (b"id,name\na,N/A\nb,\n", [["a", "N/A"], ["b", ""]]),
        ("id,name\na,Zoë 🛋️\n", [["a", "Zoë 🛋️"]]),
    ],
)
def test_tables_are_read_as_written(
    tmp_path: Path, content: bytes | str, expected: list[list[str]]
) -> None:
    chunk = read(tmp_path, content)
    assert rows(chunk) == expected
    assert (chunk.rows, chunk.rejects) == (len(expected), [])


@pytest.mark.parametrize("end", [b"\r\n", b"\r\r\n"])
def test_line_ends_of_other_systems_are_no_part_of_a_field(tmp_path: Path, end: bytes) -> None:
    content = b'id,name\na,Ann\n\nb,"Bob, Jr"\nc,"Col\nSmith"'.replace(b"\n", end)
    assert rows(read(tmp_path, content)) == [["a", "Ann"], ["b", "Bob, Jr"], ["c", "Col\nSmith"]]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"id,name\na,Ann\n", "utf-8"),
        ("id,name\na,Zoë\nb,£5\n".encode(), "utf-8"),
        ("id,name\na,Zoë\n".encode("utf-8-sig"), "utf-8"),
        ("id,name\na,Zoë\n".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "id,name\na,Zoë 🛋️\n".encode("utf-16-be"), "utf-16"),
        ("id,name\na,“Zoë” €5\n".encode("cp1252"), "cp1252"),
        # Beyond ASCII, one line is UTF-8 by chance and two are not.
        ("id,name\na,Â£5\nb,Zoë\nc,£5\n".encode("cp1252"), "cp1252"),
    ],
)
def test_the_encoding_is_found_out(tmp_path: Path, content: bytes, encoding: str) -> None:
    opened = table(tmp_path, content)
    assert opened.encoding == encoding
    (chunk,) = opened.chunks(10)
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    expected = list(csv.reader(content.decode(codec).splitlines()))[1:]
    assert rows(chunk) == expected


def test_a_damaged_line_costs_its_row_and_not_the_encoding_of_others(tmp_path: Path) -> None:
    lines = [b"id,name,x", f"{A},Zoë,".encode(), f"{B},Zo".encode() + b"\xeb,"]
    chunk = read(tmp_path, b"\n".join(lines))
    assert rows(chunk) == [[A, "Zoë"]]
    (reject,) = chunk.rejects
    assert (reject.row, reject.id, reject.field) == (3, B, "name")
    assert reject.reason == "is not UTF-8 (line 3)"


def test_a_damaged_column_that_is_ignored_costs_nothing(tmp_path: Path) -> None:
    chunk = read(tmp_path, "id,name,x\na,Zoë,".encode() + b"\nb,Ann,\xff\n")
    assert rows(chunk) == [["a", "Zoë"], ["b", "Ann"]]


def test_bytes_that_cp1252_lacks_cost_their_row(tmp_path: Path) -> None:
    chunk = read(tmp_path, b"id,name\na,Zo\xeb\nb,\x81\n")
    assert rows(chunk) == [["a", "Zoë"]]
    assert reasons(chunk) == {3: "is not CP1252 (line 3)"}


def test_half_a_character_of_utf_16_is_shown_as_such(tmp_path: Path) -> None:
    chunk = read(tmp_path, "id,name\na,Ann".encode("utf-16") + b"\x00\xd8\x41")
    assert rows(chunk) == [["a", "Ann\ufffd"]]


@pytest.mark.parametrize(
    ("content", "rejected", "kept"),
    [
        ("id,name\na\nb,Bob\n", {2: "field count is 1, the header's is 2"}, {3: "b"}),
        ("id,name\nb,Bob\na,Ann,x\n", {3: "field count is 3, the header's is 2"}, {2: "b"}),
        ('id,name\na,"Ann\nb,Bob\nc,Col\n', {2: "unexpected end of data"}, {3: "b", 4: "c"}),
        ('id,name\na,"Ann\nb,"Bob"\nc,Col\n', {2: "expected after"}, {3: "b", 4: "c"}),
        ('id,name\na,"Ann"x\nb,Bob\n', {2: "expected after"}, {3: "b"}),
        (
            'id,name\na,"x\n' + "y" * 200_000 + "\nb,Bob\n",
            {2: "field larger", 3: "field larger"},
            {4: "b"},
        ),
        (
            "id,name\na,Ann\n" + "x" * 3_000_000 + "\nb,Bob\n",
            {3: "longer than 1,000 lines or 1,048,576 characters"},
            {2: "a", 4: "b"},
        ),
        ('id,name\na,"' + "\n" * 1_001 + '"\nb,Bob\n', {2: "longer", 1003: "end"}, {1004: "b"}),
        ("id,name\n\nb,Bob\na\n", {4: "field count is 1"}, {3: "b"}),
    ],
)
def test_a_broken_row_is_rejected_by_its_number_and_takes_no_other_along(
    tmp_path: Path, content: str, rejected: dict[int, str], kept: dict[int, str]
) -> None:
    chunk = read(tmp_path, content)
    assert list(reasons(chunk)) == list(rejected)
    for row, reason in reasons(chunk).items():
        assert rejected[row] in reason
    assert {reject.file for reject in chunk.rejects} == {"Things.csv"}
    assert dict(chunk.frame["id"]) == kept
    assert chunk.rows == len(rejected) + len(kept)


def test_rejects_tell_the_line_and_where_it_is_sure_the_id(tmp_path: Path) -> None:
    chunk = read(tmp_path, f'id,name\na,"Ann\nSmith"\n{B.upper()}\n{C},Col,x\n"?"\n')
    assert [(reject.row, reject.id, reject.reason) for reject in chunk.rejects] == [
        (3, B.upper(), "its field count is 1, the header's is 2 (line 4)"),
        (4, C, "its field count is 3, the header's is 2 (line 5)"),
        (5, "", "its field count is 1, the header's is 2 (line 6)"),
    ]
    assert chunk.rejects[0].kind == "its field count is 1, the header's is 2"


NOTES = TableSpec("Notes.csv", ("id", "note", "price"))


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("record", "note"),
    [
        (f"0,{A},one|two,x,£1", "one\vtwo"),
        (f"0,{A},one||two|three,x,£1", "one\v\vtwo\vthree"),
        (f"0,{A},|one|,x,£1", "\vone\v"),
        (f"0,{A},one,a|b,£1", "one"),
        (f"0,{A},one|two,a|b,£1", "one\vtwo"),
        (f'0,{A},"one|two",a|b,£1', "one\ntwo"),
    ],
)
def test_a_record_over_several_lines_is_stitched(
    tmp_path: Path, record: str, note: str, line_break: str
) -> None:
    content = f",id,note,other,price\n9,{B},x,x,£2\n{record}\n1,{C},x,x,£3\n"
    chunk = read(tmp_path, content.replace("|", line_break), NOTES)
    assert rows(chunk) == [[B, "x", "£2"], [A, note, "£1"], [C, "x", "£3"]]
    assert list(chunk.frame.index) == [2, 3, 4]
    assert chunk.rejects == []


@pytest.mark.parametrize(
    ("damaged", "rejected_lines"),
    [
        pytest.param([f"0,{A},one"], [3], id="cut off before a whole record"),
        pytest.param([f"0,{A},one", "two"], [3, 4], id="cut off in its second line"),
        pytest.param([f"0,{A},one", f"1,{C},one"], [3, 4], id="two cut off in a row"),
        pytest.param([f"0,{A},one", "two,x,£1,y"], [3, 4], id="pieces of too many fields"),
        pytest.param(["one", "two,x,£1"], [3, 4], id="its beginning is missing"),
        pytest.param([f"0,{A},one", '"two'], [3, 4], id="an open quote among the pieces"),
        pytest.param([f"0,{A},one", *["x"] * 1_500], [*range(3, 1_504)], id="endless"),
    ],
)
def test_pieces_that_do_not_add_up_are_rejected_and_cost_no_neighbour(
    tmp_path: Path, damaged: list[str], rejected_lines: list[int]
) -> None:
    content = "\n".join([",id,note,other,price", f"8,{B},x,x,£2", *damaged, f"9,{C},x,x,£3"])
    (chunk,) = table(tmp_path, content, NOTES).chunks(10_000)
    assert rows(chunk) == [[B, "x", "£2"], [C, "x", "£3"]]
    places = [reject.reason.rpartition("(line ")[2].rstrip(")") for reject in chunk.rejects]
    assert places == [str(line) for line in rejected_lines]


def test_text_lost_behind_a_whole_record_is_rejected(tmp_path: Path) -> None:
    """A break in the last column looks like the damage of another record, so nothing is guessed."""
    chunk = read(tmp_path, f"id,name\n{A},Ann\nSmith\n{B},Bob\n")
    assert rows(chunk) == [[A, "Ann"], [B, "Bob"]]
    assert reasons(chunk) == {3: "its field count is 1, the header's is 2 (line 3)"}


def test_a_damaged_row_of_several_lines_tells_all_of_them(tmp_path: Path) -> None:
    content = f"id,note,price\n{A},one\ntwo".encode() + b"\xff,1\n" + f"{B},é,2\n".encode()
    assert reasons(read(tmp_path, content, NOTES)) == {2: "is not UTF-8 (lines 2 to 3)"}


PLACES = TableSpec("Places.csv", ("id",), {"latitude": ("lat",), "longitude": ("lon", "lng")})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id\nabc\n", ["abc", "", ""]),
        ("id,longitude,latitude\na,2,1\n", ["a", "1", "2"]),
        ("LNG,Lat,id\n2,1,a\n", ["a", "1", "2"]),
        ("id,lon\na,2\n", ["a", "", "2"]),
    ],
)
def test_optional_columns_are_always_there(
    tmp_path: Path, content: str, expected: list[str]
) -> None:
    frame = read(tmp_path, content, PLACES).frame
    assert frame.columns.tolist() == ["id", "latitude", "longitude"]
    assert frame.dtypes.tolist() == [object] * 3
    assert frame.to_numpy().tolist() == [expected]


def test_ignored_columns_are_told_but_for_those_without_a_name(tmp_path: Path) -> None:
    assert table(tmp_path, "id,,colour, Size ,name\n").ignored == ["colour", "Size"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "Things.csv is empty."),
        (b"\xef\xbb\xbf", "Things.csv is empty."),
        (b"\n\n", "Things.csv is empty."),
        (b"id,title\na,b\n", "Things.csv lacks the columns name."),
        (b"a,Ann\nb,Bob\n", "Things.csv lacks the columns id, name."),
        (b"id;title\na;b\n", "lacks the columns name. Its fields are parted by semicolons."),
        (b"id,name\ra,Ann\r", "Things.csv has no lines: only a line feed ends one."),
        (b"id,name,x\ra,Ann,y\r", "Things.csv has no lines: only a line feed ends one."),
        (b"id,name,ID\na,b,c\n", "Things.csv has the column id twice."),
        (b'"id,name\na,b\n', "Things.csv does not begin with a CSV header"),
        (b"x" * 2_000_000, "Things.csv does not begin with a CSV header"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "Things.csv lacks the columns id, name."),
        ("id,name\na,b\n".encode("utf-16-le"), "Things.csv lacks the columns id, name."),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidFeed, match=re.escape(sentence)):
        table(tmp_path, content)


def test_what_is_missing_or_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFeed, match=r"Things.csv is missing"):
        open_table(tmp_path / "Things.csv", THINGS)
    (tmp_path / "Things.csv").mkdir()
    with pytest.raises(InvalidFeed, match=r"Things.csv can't be read"):
        open_table(tmp_path / "Things.csv", THINGS)


def test_a_file_that_goes_away_is_refused(tmp_path: Path) -> None:
    opened = table(tmp_path, "id,name\na,b\n")
    (tmp_path / "Things.csv").unlink()
    with pytest.raises(InvalidFeed, match="is missing"):
        next(opened.chunks(1))


def test_chunks_are_consecutive_and_tell_how_far_they_got(tmp_path: Path) -> None:
    folder = simple_feed(tmp_path / "feed", 250, photos_each=0)
    opened = open_table(folder / PRODUCTS.name, PRODUCTS)
    chunks = list(opened.chunks(100))
    assert [chunk.rows for chunk in chunks] == [100, 100, 50]
    numbers = [number for chunk in chunks for number in chunk.frame.index]
    assert numbers == list(range(2, 252))
    positions = [chunk.position for chunk in chunks]
    assert positions == sorted(positions)
    assert positions[0] < positions[-1] == opened.size == (folder / PRODUCTS.name).stat().st_size
    assert chunks[2].frame.loc[251, "product_description"] == product_row(250)[4].replace(
        "\r", "\v"
    )


def test_rejected_rows_count_into_their_chunk(tmp_path: Path) -> None:
    chunks = list(table(tmp_path, "id,name\na\nb\nc,Col\nd\n").chunks(2))
    assert [(len(chunk.frame), len(chunk.rejects)) for chunk in chunks] == [(0, 2), (1, 1)]


def test_a_table_without_rows_has_no_chunks(tmp_path: Path) -> None:
    assert list(table(tmp_path, "id,name\n\n").chunks(10)) == []
