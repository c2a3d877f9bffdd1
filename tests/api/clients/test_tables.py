"""Bulk tables as shops and spreadsheets make them, whatever media type their clients state."""

import csv
import io
import json
from contextlib import suppress
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import given, settings
from hypothesis import strategies as st

from api.listings.forms import COLUMNS
from api.listings.tables import DELIMITERS, read_rows
from models.domain.errors import InvalidInput
from models.domain.searches.attributes import scalar_of_text
from tests.support.http import assert_problem
from tests.support.pictures import jpeg

MISSPELT = "title,prise,currancy,category,photos\nLamp,5.00,GBP,Home,a\n"
SPACES = "title, price, currency, category,photos\nLamp,5.00,GBP,Home,a\n"
CSV = "title,price,currency,photos\nLamp,5.00,GBP,a\n"
NDJSON = '{"title": "Lamp", "price": "5.00", "currency": "GBP", "photos": ["a"]}\n'
KINDS = [
    "text/csv",
    "Text/CSV",
    "text/csv; charset=utf-8; header=present",
    "application/csv",
    "application/vnd.ms-excel",
    "application/octet-stream",
    "application/x-ndjson",
    "application/jsonl",
    "Application/JSON",
    "text/plain",
    "text/tab-separated-values",
    "",
    "nonsense",
]


def send(client: TestClient, table: str | bytes, kind: str = "text/csv") -> Response:
    data = table if isinstance(table, bytes) else table.encode()
    files = {"listings": ("rows", data, kind), "a": ("a.jpg", jpeg(1), "image/jpeg")}
    return client.post("/v1/listings:batch", files=files)


def only_listing(client: TestClient, response: Response) -> dict[str, Any]:
    """The listing of a bulk request that had one row, and nothing wrong with it."""
    assert response.status_code == 202, response.text
    result = response.json()["result"]
    assert (result["rows"], result["accepted"], result["errors"]) == (1, 1, [])
    (listing,) = client.get("/v1/listings").json()["items"]
    assert isinstance(listing, dict)
    return listing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", [CSV, NDJSON, f"[{NDJSON}]", f"\ufeff{CSV}", f"\n {NDJSON}"])
def test_a_table_is_told_by_its_content(client: TestClient, table: str, kind: str) -> None:
    listing = only_listing(client, send(client, table, kind))
    assert (listing["title"], listing["price"], listing["currency"]) == ("Lamp", "5.00", "GBP")
    assert len(listing["photos"]) == 1


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("first", ["", "sep={}\r\n", '"sep={}"\n', "SEP={}\n"])
def test_delimiters(client: TestClient, delimiter: str, first: str) -> None:
    rows = CSV.replace("Lamp", '"A, b; c | d"').replace(",p", f"{delimiter}p")
    rows = rows.replace(",c", f"{delimiter}c").replace(",5", f"{delimiter}5")
    rows = rows.replace(",GBP", f"{delimiter}GBP").replace(",a", f"{delimiter}a")
    listing = only_listing(client, send(client, first.format(delimiter) + rows))
    assert (listing["title"], listing["price"]) == ("A, b; c | d", "5.00")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_excel_saves(client: TestClient, encoding: str, end: str) -> None:
    delimiter = "\t" if encoding == "utf-16" else ";"
    text = CSV.replace("Lamp", "Café “£5”").replace(",", delimiter).replace("\n", end)
    assert only_listing(client, send(client, text.encode(encoding)))["title"] == "Café “£5”"


def test_a_charset_that_is_stated(client: TestClient) -> None:
    table = CSV.replace("Lamp", "Lampe à huile").encode("iso-8859-1")
    listing = only_listing(client, send(client, table, "text/csv; charset=ISO-8859-1"))
    assert listing["title"] == "Lampe à huile"


@pytest.mark.parametrize(
    "header",
    [
        SPACES.partition("\n")[0],
        "Title,PRICE,Currency,category,Photos",
        "title , price,\tcurrency ,category, photos ",
        '"title", "price", "currency", "category", "photos"',
        "title,price,currency,category,photos,,",
    ],
)
def test_columns_in_any_case_and_with_spaces(client: TestClient, header: str) -> None:
    table = f"{header}\nLamp, 5.00 ,GBP,Home,a\n,,,,\n"
    listing = only_listing(client, send(client, table))
    assert (listing["title"], listing["price"], listing["category"]) == ("Lamp", "5.00", "Home")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (MISSPELT.partition("\n")[0], "'prise' is unknown; did you mean 'price'?"),
        ("title,price,Curency,category,photos", "'Curency' is unknown; did you mean 'currency'?"),
        ("title,price,currency,colour,photos", "such as 'attributes.colour'"),
        (
            "title,price,currency,zzz,photos",
            "'zzz' is unknown; known are attributes, category, currency",
        ),
        ("title,price,currency,Price,photos", "'price' comes twice"),
        ("title,price,currency,,photos", "Column 4 has values, such as 'Home', but no name"),
        ("Lamp,5.00,GBP,Home,a", "'Lamp' is unknown"),
    ],
)
def test_a_column_that_is_not_known_is_refused_with_the_table(
    client: TestClient, header: str, said: str
) -> None:
    response = send(client, f"{header}\nLamp,5.00,GBP,Home,a\n")
    assert_problem(response, 422, "invalid_input")
    assert said in response.json()["detail"]
    assert client.get("/v1/listings").json()["items"] == []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_with_more_fields_than_the_header(client: TestClient, end: str) -> None:
    table = end.join([*CSV.split(), "Lamp,5,00,GBP,a", "Lamp,6.00,GBP,a,,"])
    result = send(client, table).json()["result"]
    assert (result["rows"], result["accepted"]) == (3, 2)
    (error,) = result["errors"]
    assert (error["row"], error["detail"]) == (2, "The row has 5 fields, the header 4.")


@pytest.mark.parametrize("row", ['"Lamp,5.00,GBP,a', '"5" lamp",5.00,GBP,a'])
def test_quotes_that_do_not_close(client: TestClient, row: str) -> None:
    response = send(client, f"{CSV}{row}\nNext,5.00,GBP,a\n")
    assert_problem(response, 422, "invalid_input")
    assert "after row 1" in response.json()["detail"]
    assert client.get("/v1/listings").json()["items"] == []


def test_an_inch_within_a_text(client: TestClient) -> None:
    listing = only_listing(client, send(client, CSV.replace("Lamp", 'Lamp 5" wide')))
    assert listing["title"] == 'Lamp 5" wide'


@pytest.mark.parametrize("form", ["{}\n{}", "[{},{}]"])
def test_an_unknown_field_of_json_is_an_error_of_its_row(client: TestClient, form: str) -> None:
    good = {"title": "Lamp", "photos": ["a"]}
    table = form.format(json.dumps({**good, "prise": 5}), json.dumps(good))
    result = send(client, table, "application/x-ndjson").json()["result"]
    assert (result["rows"], result["accepted"]) == (2, 1)
    (error,) = result["errors"]
    assert error["row"] == 1
    assert error["detail"] == "The field 'prise' is unknown; did you mean 'price'?"


def test_an_array_of_json_has_the_values_of_its_lines(client: TestClient) -> None:
    row = '{"title": "Lamp", "price": 0.10, "currency": "GBP", "latitude": 53.8, '
    row += '"longitude": -1.55, "photos": ["a"]}'
    listing = only_listing(client, send(client, f"[{row}]", "application/json"))
    stated = (listing["price"], listing["latitude"], listing["longitude"])
    assert stated == ("0.10", 53.8, -1.55)


@pytest.mark.parametrize(
    "item", ["5", "null", "[]", '"Lamp"', '{"title": "\\ud800", "photos": ["a"]}']
)
def test_an_array_of_something_else(client: TestClient, item: str) -> None:
    result = send(client, f"[{item},{NDJSON}]").json()["result"]
    assert (result["accepted"], [error["row"] for error in result["errors"]]) == (1, [1])


@pytest.mark.parametrize("table", ["[", "[" * 100_000, "[{}", "[1e999999999,]", "[" + "9" * 5_000])
def test_an_array_that_is_none(client: TestClient, table: str) -> None:
    assert_problem(send(client, table), 422, "invalid_input")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04", "a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an Excel workbook"),
        (b"\x1f\x8b\x08\x00", "compressed by gzip"),
        (NDJSON.replace("Lamp", "caf\xe9").encode("latin-1"), "not UTF-8"),
        (CSV.encode() + b"\x81", "not UTF-8"),
    ],
)
def test_what_is_no_text(client: TestClient, data: bytes, said: str) -> None:
    response = send(client, data + bytes(200), "application/vnd.ms-excel")
    assert_problem(response, 422, "invalid_input")
    assert said in response.json()["detail"]


@pytest.mark.parametrize("table", ["", "\n\n", "\ufeff", CSV.partition("\n")[0], "[]", "sep=;\n"])
def test_no_rows(client: TestClient, table: str) -> None:
    assert_problem(send(client, table), 422, "invalid_input")


ATTRIBUTE = "attributes.size"
PLAIN = [name for name in COLUMNS if name != "attributes"]
WRITTEN = [*PLAIN, ATTRIBUTE]
CELLS = st.text("aZ0 é☕£“,;|\t\"'=", max_size=8).map(str.strip)


def value_of(column: str, cell: str) -> tuple[str, object]:
    """What a cell is read as."""
    if column == ATTRIBUTE:
        return "attributes", {"size": scalar_of_text(cell)}
    return column, cell.split() if column == "photos" else cell


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[dict[str, object]]]:
    """A table as a spreadsheet might write it, and the values that it has."""
    columns = draw(st.permutations(WRITTEN))[: draw(st.integers(2, len(WRITTEN)))]
    width = len(columns)
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=4))
    delimiter = draw(st.sampled_from(DELIMITERS))
    anycase = [
        "".join(draw(st.sampled_from([one, one.upper()])) for one in name) for name in columns
    ]
    header = [
        draw(st.sampled_from(["", " "])) + name + draw(st.sampled_from(["", " "]))
        for name in anycase
    ]
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows([header, *rows])
    first = draw(st.sampled_from(["", f"sep={delimiter}\r\n"]))
    meant: list[dict[str, object]] = [
        dict(value_of(name, cell) for name, cell in zip(columns, row, strict=True) if cell)
        for row in rows
    ]
    return first + file.getvalue(), [row for row in meant if row]


@settings(max_examples=50, deadline=None)
@given(tables(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from(KINDS))
def test_any_table_has_the_values_that_were_written(
    written: tuple[str, list[dict[str, object]]], encoding: str, kind: str
) -> None:
    text, meant = written
    assert list(read_rows(text.encode(encoding), kind, COLUMNS)) == meant


@given(st.binary(max_size=200) | st.text('{}[]",;sep=\ntitle ', max_size=60).map(str.encode))
def test_anything_at_all_is_read_or_refused(data: bytes) -> None:
    with suppress(InvalidInput):
        for row in read_rows(data, None, COLUMNS):
            assert isinstance(row, str | dict | InvalidInput)


@given(st.sampled_from(PLAIN), st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_no_value_of_an_unknown_column_is_dropped(known: str, name: str) -> None:
    table = f"{known},{name}\na,b\n".encode()
    if name in COLUMNS and name != known:
        (row,) = read_rows(table, "text/csv", COLUMNS)
        assert isinstance(row, dict)
        assert row[name] == (["b"] if name == "photos" else "b")
    else:
        with pytest.raises(InvalidInput, match=name):
            list(read_rows(table, "text/csv", COLUMNS))
