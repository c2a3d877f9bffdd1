"""The kinds of files that a table may be, and what each is refused for."""

import gzip
import io
import json
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl.fetch.source_url import TABLE_SUFFIXES
from etl.tables.find import OneTable, find_tables
from etl.tables.open_source import open_rows
from etl.tables.row_source import MAX_ROW_CHARACTERS, VALUES
from etl.tables.shop_table import ShopTable
from models.domain.errors import InvalidFeed

TITLES = ['Lamp; red, 6" | 40\tcm', "Zoë's 🛋️", "A\nB"]
RECORDS = [{"id": f"p{number}", "title": title} for number, title in enumerate(TITLES)]


def parted_by(delimiter: str) -> str:
    rows = [["id", "title"], *([record["id"], record["title"]] for record in RECORDS)]
    quoted = ('"' + cell.replace('"', '""') + '"' for row in rows for cell in row)
    cells = list(quoted)
    return "".join(f"{cells[at]}{delimiter}{cells[at + 1]}\r\n" for at in range(0, len(cells), 2))


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(RECORDS), file, row_group_size=2)
    return file.getvalue()


def xml(root: str = "rss") -> str:
    items = "".join(
        "<item><g:id>{id}</g:id><g:title><![CDATA[{title}]]></g:title></item>".format(**record)
        for record in RECORDS
    )
    return f"<{root}><channel>{items}</channel></{root}>"


KINDS: dict[str, tuple[bytes, str]] = {
    "commas": (parted_by(",").encode(), "text"),
    "semicolons": (parted_by(";").encode(), "text"),
    "tabs": (parted_by("\t").encode(), "text"),
    "bars": (parted_by("|").encode(), "text"),
    "as Excel states": (("sep=;\r\n" + parted_by(";")).encode(), "text"),
    "with a byte order mark": (parted_by(";").encode("utf-8-sig"), "text"),
    "UTF-16": (parted_by("\t").encode("utf-16"), "text"),
    "lines of JSON": (("\n".join(map(json.dumps, RECORDS)) + "\n").encode(), "NDJSON"),
    "an array": (json.dumps(RECORDS, ensure_ascii=False).encode(), "a JSON array"),
    "a pretty array": (json.dumps(RECORDS, indent=2).encode("utf-8-sig"), "a JSON array"),
    "an array in an object": (json.dumps({"products": RECORDS}).encode(), "a JSON array"),
    "the same, over lines": (json.dumps({"items": RECORDS}, indent=1).encode(), "a JSON array"),
    "RSS": (xml().encode(), "XML"),
    "declared as UTF-16": (
        ('<?xml version="1.0" encoding="UTF-16"?>' + xml()).encode("utf-16"),
        "XML",
    ),
    "behind the type of a document": (
        ('<!DOCTYPE feed SYSTEM "feed.dtd">' + xml("feed")).encode(),
        "XML",
    ),
    "Parquet": (parquet(), "Parquet"),
}


@pytest.mark.parametrize("suffix", [".csv", ".xml", ".parquet", ""])
@pytest.mark.parametrize(("content", "kind"), KINDS.values(), ids=KINDS)
def test_a_table_is_what_its_content_is_whatever_it_is_called(
    tmp_path: Path, content: bytes, kind: str, suffix: str
) -> None:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    source = open_rows(path)
    assert source.kind == kind
    assert source.columns == ["id", "title"]
    rows = list(source.rows())
    assert [row.fault for row in rows] == [""] * 3
    assert [row.fields for row in rows] == [list(record.values()) for record in RECORDS]
    positions = [row.position for row in rows]
    assert positions == sorted(positions)
    assert positions[-1] <= source.size == len(content)


@pytest.mark.parametrize(
    ("text", "columns", "cells"),
    [
        ('{"id": 1.50, "tags": ["a", "b"], "no": null}', None, ["1.50", "a|b", ""]),
        ('{"yes": true}', ["yes"], ["true"]),
        ('{"price": {"value": "5", "unit": "EUR"}}', ["price.value", "price.unit"], ["5", "EUR"]),
        ('{"images": [{"src": "a"}, {"src": "b"}]}', ["images.src"], ["a|b"]),
        ('{"id": 12345678901234567890123}', ["id"], ["12345678901234567890123"]),
        ('{"a": NaN}', ["a"], ["NaN"]),
        ('{"a": {}, "b": []}', ["b"], [""]),
    ],
)  # fmt: skip
def test_values_of_json_are_texts(
    tmp_path: Path, text: str, columns: list[str] | None, cells: list[str]
) -> None:
    path = tmp_path / "table.ndjson"
    path.write_text(text)
    source = open_rows(path)
    (row,) = source.rows()
    assert columns is None or source.columns == columns
    assert [cell.replace(VALUES, "|") for cell in row.fields] == cells


def test_columns_that_come_late_are_columns(tmp_path: Path) -> None:
    lines = [json.dumps({"id": number}) for number in range(5_000)]
    (tmp_path / "t.jsonl").write_text("\n".join([*lines, '{"id": "x", "title": "y"}']))
    source = open_rows(tmp_path / "t.jsonl")
    assert source.columns == ["id", "title"]
    assert [row.fields for row in source.rows()][-1] == ["x", "y"]


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        (['{"id": 1}', "{", '{"id": 2}'], ["", "is not valid JSON", ""]),
        (['{"id": 1}', "[1]", '"x"'], ["", "is no JSON object", "is no JSON object"]),
        (['{"id": 1}', "[" * 100_000, '{"id": 2}'], ["", "is not valid JSON", ""]),
        (
            ['{"id": 1}', '{"id": "' + "x" * MAX_ROW_CHARACTERS + '"}', '{"id": 2}'],
            ["", "has more than 1,048,576 characters", ""],
        ),
    ],
)
def test_a_line_that_is_no_object_costs_no_other(
    tmp_path: Path, lines: list[str], faults: list[str]
) -> None:
    (tmp_path / "t.ndjson").write_text("\n".join(lines))
    rows = list(open_rows(tmp_path / "t.ndjson").rows())
    assert [row.fault for row in rows] == faults
    assert [row.place for row in rows] == ["line 1", "line 2", "line 3"]


BOMB = (
    '<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><rss><item><id>&b;</id></item></rss>'
)
FILE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><item><id>&x;</id></item></rss>'


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (zipped(), "looks like a spreadsheet"),
        (gzip.compress(b"id,title\n", mtime=0), "is compressed"),
        (b"<!DOCTYPE html><html><body>No such page", "is a web page"),
        (BOMB.encode(), "declares entities"),
        (FILE.encode(), "declares entities"),
        (b"<rss><item><id>1</id></item>", "is not valid XML"),
        (b"<rss><item><id>&nbsp;</id></item></rss>", "is not valid XML"),
        (b"<rss><channel><title>Nothing</title></channel></rss>", "no product feed"),
        (b"<a>" * 100 + b"</a>" * 100, "in more than 32 others"),
        (b"<rss><item a='" + b"x" * (5 << 20) + b"'></item></rss>", "has a tag of more than"),
        (b'[{"id": 1}, {"id"', "is no valid JSON behind element 1"),
        (b'[{"id": 1}, {"id": "' + b"x" * (3 << 20), "is no valid JSON behind element 1"),
        (b'{"products": {"id": 1}, "x": [', "is no array of JSON objects"),
        (b"PAR1 and nothing else", "can't be read as Parquet"),
        (b"sku;what\n1;2\n", "lacks a column for: title"),
        (b"sku;what\n1;2\n", "parted by semicolons, are: sku, what"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InvalidFeed, match=re.escape(sentence)):
        list(ShopTable(open_rows(tmp_path / "table.csv")).chunks(10))


def read_all(path: Path) -> None:
    """Read a table to its end."""
    for chunk in ShopTable(open_rows(path)).chunks(3):
        assert len(chunk.frame) + len(chunk.rejects) == chunk.rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    content=st.sampled_from([content for content, _ in KINDS.values()]),
    at=st.floats(0, 1),
    cut=st.integers(0, 40),
    junk=st.binary(max_size=30) | st.sampled_from([b'"', b"<", b"{", b"]", b"\x00", b"\xff\xfe"]),
    suffix=st.sampled_from(TABLE_SUFFIXES),
)
def test_damaged_tables_end_in_rows_or_a_refusal(
    place: Path, content: bytes, at: float, cut: int, junk: bytes, suffix: str
) -> None:
    start = int(len(content) * at)
    path = place / f"table{suffix}"
    path.write_bytes(content[:start] + junk + content[start + cut :])
    try:
        read_all(path)
    except InvalidFeed as error:
        assert str(error)  # noqa: PT017 - either outcome is right


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    head=st.sampled_from([b"", b"id,title\n", b"id;title\n", b"<rss><item>", b"[", b"{", b"PAR1"]),
    rest=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-16")),
)
@example(head=b'{"id": "\\ud800", "title": "', rest=b'\\udfff"}')
def test_any_bytes_end_in_rows_or_a_refusal(place: Path, head: bytes, rest: bytes) -> None:
    path = place / "table.txt"
    path.write_bytes(head + rest)
    try:
        read_all(path)
    except InvalidFeed as error:
        assert str(error)  # noqa: PT017 - either outcome is right


def test_a_folders_only_table_is_its_feed(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("A shop.")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    (tmp_path / "stock.xml").write_text("<stock/>")
    (tmp_path / "shop.csv").write_text("id,title\n1,One\n")
    found = find_tables(tmp_path)
    assert isinstance(found, OneTable)
    assert found.table.name == "shop.csv"
    (tmp_path / "more.csv").write_text("id,title\n1,One\n")
    with pytest.raises(InvalidFeed, match=r"several tables: more.csv, .*Name the one"):
        find_tables(tmp_path)
    named = find_tables(tmp_path / "more.csv")
    assert isinstance(named, OneTable)
    assert named.table.name == "more.csv"


def test_half_of_a_cleaned_feed_is_no_shops_table(tmp_path: Path) -> None:
    (tmp_path / "products.parquet").write_bytes(parquet())
    assert isinstance(find_tables(tmp_path), OneTable)
    (tmp_path / "images.parquet").write_bytes(parquet())
    with pytest.raises(InvalidFeed, match="cleaned feed that is not complete"):
        find_tables(tmp_path)


def test_quotes_of_a_table_that_is_parted_by_tabs_may_be_text(tmp_path: Path) -> None:
    lines = ['a\t"Vintage" lamp', 'b\t"open', "c\tplain", 'd\t"quoted\ttab"', "e", "f\tlast"]
    (tmp_path / "t.tsv").write_text("id\ttitle\n" + "\n".join(lines))
    rows = list(open_rows(tmp_path / "t.tsv").rows())
    assert [row.fields for row in rows if not row.fault] == [
        *(["a", '"Vintage" lamp'], ["b", '"open'], ["c", "plain"], ["d", "quoted\ttab"]),
        ["f", "last"],
    ]
    assert [row.place for row in rows if row.fault] == ["line 6"]


def test_half_of_a_pair_is_refused_by_the_name_of_the_other(tmp_path: Path) -> None:
    (tmp_path / "Products.csv").write_text("id,product_name\n1,One\n")
    with pytest.raises(InvalidFeed, match=r"Images.csv is missing"):
        find_tables(tmp_path)
    (tmp_path / "Products.csv").rename(tmp_path / "Images.csv")
    (tmp_path / "Images.csv").write_text("id,product_id\n1,1\n")
    with pytest.raises(InvalidFeed, match=r"Products.csv is missing"):
        find_tables(tmp_path)


def test_a_table_of_products_that_names_its_photos_needs_no_other(tmp_path: Path) -> None:
    (tmp_path / "Products.csv").write_text("id,product_name,images\n1,One,a.jpg\n")
    assert isinstance(find_tables(tmp_path), OneTable)
