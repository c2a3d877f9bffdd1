"""What dirty feeds may hold, and the one outcome that each has.

The tables below are to be read: each line has a name, what is written, and what becomes of it.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from etl.clean.feed_tables import PRODUCTS
from models.domain.errors import InvalidFeed
from tests.support.cleaning import clean_table
from tests.support.feeds import listing_id, product_row, to_csv

HEADER = ",".join(PRODUCTS.columns)


@dataclass(frozen=True)
class Becomes:
    """The row is accepted, with these values."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Rejected:
    """The row is rejected, and this is in the reason."""

    reason: str


@dataclass(frozen=True)
class LeftOut:
    """The row is accepted without a price, and this is in the reason."""

    reason: str


def gbp(amount: str, *, suspect: bool = False) -> Becomes:
    return Becomes({"price": Decimal(amount), "currency": "GBP", "price_suspect": suspect})


def eur(amount: str) -> Becomes:
    return Becomes({"price": Decimal(amount), "currency": "EUR"})


NO_PRICE = Becomes({"price": None, "currency": None, "price_suspect": False})
NOT_A_PRICE = LeftOut("is not a price")
NO_DEGREES = Rejected("is not a number of degrees")
NOT_A_UUID = Rejected("is not a UUID")
UUID_ABCD = Becomes({"id": "00000000-0000-4000-8000-00000000abcd"})
EMPTY = Rejected("is empty")


def title(text: str) -> Becomes:
    return Becomes({"title": text})


def text(written: str) -> Becomes:
    return Becomes({"description": written})


def category(path: str | None) -> Becomes:
    return Becomes({"category": path})


def place(name: str | None, county: str | None) -> Becomes:
    return Becomes({"place": name, "county": county})


Outcome = Becomes | Rejected | LeftOut

FAKE = f"{listing_id(9)},Fake,Home,Good,£1,Leeds,,"

# fmt: off
CELLS: dict[str, list[tuple[str, str, Outcome]]] = {
    "id": [
        ("upper case",            "00000000-0000-4000-8000-00000000ABCD", UUID_ABCD),
        ("spaces around it",      " 00000000-0000-4000-8000-00000000abcd\r", UUID_ABCD),
        ("empty",                 "", NOT_A_UUID),
        ("a number",              "12345", NOT_A_UUID),
        ("in braces",             "{00000000-0000-4000-8000-000000000001}", NOT_A_UUID),
        ("without hyphens",       "00000000000040008000000000000001", NOT_A_UUID),
        ("one digit short",       "00000000-0000-4000-8000-00000000001", NOT_A_UUID),
        ("digits of a language",  "\u06600000000-0000-4000-8000-000000000001", NOT_A_UUID),
        ("a path",                "../../../../etc/passwd", NOT_A_UUID),
    ],
    "product_name": [
        ("the site's tail",       "Sofa | in Hull, East Yorkshire | Gumtree", title("Sofa")),
        ("the tail twice",        "Sofa | in Hull | Gumtree | Gumtree", title("Sofa")),
        ("a bar of its own",      "Sofa | blue | in Hull | Gumtree", title("Sofa | blue")),
        ("a carriage return",     "Sofa\rbed", title("Sofa bed")),
        ("spaces of all kinds",   " Sofa\xa0\u2003 bed\t", title("Sofa bed")),
        ("decomposed accents",    "Cafe\u0301 table", title("Café table")),
        ("emoji",                 "Sofa 🛋️ 👨‍👩‍👧", title("Sofa 🛋️ 👨‍👩‍👧")),
        ("control characters",    "So\x00fa\x1b[1m", title("Sofa[1m")),
        ("text turned around",    "Sofa\u202eknalb", title("Sofaknalb")),
        ("quotes and commas",     '6" pipe, "new"', title('6" pipe, "new"')),
        ("a formula",             "=HYPERLINK(1)", title("=HYPERLINK(1)")),
        ("500 characters",        "x" * 500, title("x" * 500)),
        ("501 characters",        "x" * 501, Rejected("has more than 500 characters")),
        ("empty",                 "", EMPTY),
        ("nothing to see",        " \u200b\ufeff\x00", EMPTY),
        ("only the site's tail",  " | in Poole, Dorset | Gumtree", EMPTY),
    ],
    "product_description": [
        ("empty",                 "", text("")),
        ("bare carriage returns", "One.\rTwo.\r\rThree.", text("One.\nTwo.\n\nThree.")),
        ("Windows line breaks",   "One.\r\nTwo.", text("One.\nTwo.")),
        ("Unicode line breaks",   "One.\u2028Two.\x85Three.", text("One.\nTwo.\nThree.")),
        ("many blank lines",      "One.\r\r\r \r\rTwo.\r\r", text("One.\n\nTwo.")),
        ("a record of its own",   f"x\n{FAKE}", text(f"x\n{FAKE}")),
        ("50,001 characters",     "x" * 50_001, Rejected("has more than 50,000 characters")),
    ],
    "category": [
        ("empty",                 "", category(None)),
        ("not stated",            "N/A", category(None)),
        ("only a slash",          " / ", category(None)),
        ("uneven spaces",         " Tops  /  Vests ", category("Tops / Vests")),
        ("a space on one side",   "Tops /Vests", category("Tops / Vests")),
        ("a slash too many",      "Tops / / Vests /", category("Tops / Vests")),
        ("a slash in a name",     "TV/DVD & More", category("TV/DVD & More")),
        ("slashes of both kinds", "Electronics / TV/DVD", category("Electronics / TV/DVD")),
        ("greater-than signs",    "Home>Garden > Tools", category("Home / Garden / Tools")),
        ("no-break spaces",       "Home\xa0/\xa0Bed\xa0 linen", category("Home / Bed linen")),
        ("decomposed",            "Cafe\u0301 / The\u0301", category("Caf\u00e9 / Th\u00e9")),
        ("a name too long",       "x" * 201, Rejected("has a name of more than 200 characters")),
        ("eleven levels",         " / ".join("abcdefghijk"), Rejected("has more than 10 levels")),
        ("long altogether",       " / ".join(["x" * 150] * 7), Rejected("has more than 1,000")),
    ],
    "price": [
        ("pounds",                "£5.00", gbp("5.00")),
        ("thousands",             "£1,250.00", gbp("1250.00")),
        ("euros their way",       "€1.250,00", eur("1250.00")),
        ("spaced euros",          "1 250,00 €", eur("1250.00")),
        ("no-break spaces",       "1\xa0250,00\u202f€", eur("1250.00")),
        ("thin spaces",           "£1\u2009250", gbp("1250.00")),
        ("a point for thousands", "£1.250", gbp("1250.00")),
        ("a code",                "12 eur", eur("12.00")),
        ("no currency",           "40", gbp("40.00")),
        ("or nearest offer",      "£5 ono", gbp("5.00")),
        ("spaces inside",         " £ 5.00\r", gbp("5.00")),
        ("free",                  "Free", gbp("0.00")),
        ("not stated",            "N/A", NO_PRICE),
        ("empty",                 "", NO_PRICE),
        ("a missing value",       "NaN", NO_PRICE),
        ("a million for a lamp",  "£1,234,567.00", gbp("1234567.00", suspect=True)),
        ("typed in a row",        "£12345", gbp("12345.00", suspect=True)),
        ("one key held down",     "£99,999.99", gbp("99999.99", suspect=True)),
        ("dear but meant",        "£9,999.00", gbp("9999.00")),
        ("negative",              "-£5.00", LeftOut("is negative")),
        ("negative inside",       "£-5.00", LeftOut("is negative")),
        ("thirteen digits",       "£1000000000000", LeftOut("has more than 12 digits")),
        ("five thousand digits",  "£" + "9" * 5_000, LeftOut("has more than 12 digits")),
        ("three decimals",        "£0.999", NOT_A_PRICE),
        ("a range",               "£5 - £10", NOT_A_PRICE),
        ("per week",              "£5 pw", NOT_A_PRICE),
        ("pence",                 "50p", NOT_A_PRICE),
        ("words",                 "make an offer", NOT_A_PRICE),
        ("two currencies",        "£5 EUR", LeftOut("is in two currencies")),
        ("scientific",            "1e5", NOT_A_PRICE),
        ("infinite",              "inf", NOT_A_PRICE),
    ],
    "location": [
        ("place and county",      " Poole,\tDorset ", place("Poole", "Dorset")),
        ("only a place",          "Poole", place("Poole", None)),
        ("three parts",           "Old Town, Poole, Dorset", place("Old Town, Poole", "Dorset")),
        ("empty",                 "", place(None, None)),
        ("not stated",            "n/a", place(None, None)),
        ("501 characters",        "x" * 501, Rejected("has more than 500 characters")),
    ],
    "latitude": [
        ("degrees",               "53.8", Becomes({"latitude": 53.8, "longitude": 0.5})),
        ("a pole",                "-90", Becomes({"latitude": -90.0})),
        ("beyond the pole",       "90.01", Rejected("is not between -90 and 90")),
        ("a decimal comma",       "53,8", NO_DEGREES),
        ("minutes",               "53°48'N", NO_DEGREES),
        ("not stated, as pandas", "nan", Rejected("latitude and longitude go together")),
        ("infinite",              "1e999", Rejected("is not between -90 and 90")),
        ("without its longitude", "", Rejected("latitude and longitude go together")),
    ],
    "seller": [
        ("a name",                " Sam\u00a0 the man", Becomes({"seller": "Sam the man"})),
        ("a number",              "0042", Becomes({"seller": "0042"})),
        ("empty",                 "", Becomes({"seller": None})),
        ("not stated",            "N/A", Becomes({"seller": None})),
        ("200 characters",        "x" * 200, Becomes({"seller": "x" * 200})),
        ("201 characters",        "x" * 201, Rejected("has more than 200 characters")),
    ],
}
# fmt: on


@pytest.mark.parametrize(
    ("column", "written", "outcome"),
    [
        pytest.param(column, written, outcome, id=f"{column}: {name}")
        for column, cells in CELLS.items()
        for name, written, outcome in cells
    ],
)
def test_dirty_cells(tmp_path: Path, column: str, written: str, outcome: Outcome) -> None:
    clean_fields = dict(
        zip(PRODUCTS.columns, [*product_row(1)[1:], "1.5", "0.5", "sam"], strict=True)
    )
    dirty = [*(clean_fields | {column: written}).values()]
    neighbours = [[*product_row(number)[1:], "", "", ""] for number in (2, 3)]
    path = tmp_path / PRODUCTS.name
    path.write_bytes(to_csv([PRODUCTS.columns, neighbours[0], dirty, neighbours[1]]))
    table = clean_table(path)
    assert {2, 4} <= set(table.frame.index)
    match outcome:
        case Becomes(values):
            assert table.rejects == []
            assert table.frame.loc[3, list(values)].to_dict() == values
        case LeftOut(reason):
            assert table.rejects == []
            assert [(reject.row, reject.field) for reject in table.left_out] == [(3, "price")]
            assert reason in table.left_out[0].reason
            assert table.frame.loc[3, list(NO_PRICE.values)].to_dict() == NO_PRICE.values
        case Rejected(reason):
            assert [reject.row for reject in table.rejects] == [3]
            assert reason in table.rejects[0].reason


A, B, C = (str(listing_id(number)) for number in (1, 2, 3))


@dataclass(frozen=True)
class Rows:
    """Ids accepted, and what the reasons of rejected rows begin with, by row."""

    accepted: list[str]
    rejected: dict[int, str] = field(default_factory=dict)


LAMP = f"{A},Lamp,Home,Good,£5,Leeds,,,"
SOFA = f"{B},Sofa,Home,Good,£5,Leeds,,,"
BIKE = f"{C},Bike,Home,Good,£5,Leeds,,,"

ROWS: dict[str, tuple[list[str], Rows]] = {
    "blank lines": ([LAMP, "", "  ", SOFA, ""], Rows([A, B])),
    "a row of commas": ([LAMP, ",,,,,,,,", SOFA], Rows([A, B], {3: "is not a UUID"})),
    "a field too few": (
        [LAMP, f"{B},Sofa,Home,Good,£5,Leeds,,", BIKE],
        Rows([A, C], {3: "its field count is 8, the header's is 9 (line 3)"}),
    ),
    "a field too many": (
        [LAMP, f"{SOFA},", BIKE],
        Rows([A, C], {3: "its field count is 10, the header's is 9 (line 3)"}),
    ),
    "an unquoted comma": (
        [LAMP, f"{B},Sofa, blue,Home,Good,£5,Leeds,,,", BIKE],
        Rows([A, C], {3: "its field count is 10, the header's is 9 (line 3)"}),
    ),
    "an unclosed quote": (
        [LAMP, f'{B},"Sofa,Home,Good,£5,Leeds,,,', BIKE],
        Rows([A, C], {3: "is not valid CSV: unexpected end of data (line 3)"}),
    ),
    "an unclosed quote before another": (
        [LAMP, f'{B},"Sofa,Home,Good,£5,Leeds,,,', f'{C},"Bike",Home,Good,£5,Leeds,,,'],
        Rows([A, C], {3: "is not valid CSV: ',' expected after '\"' (line 3)"}),
    ),
    "a quote inside a field": ([LAMP, f'{B},6" pipe,Home,Good,£5,Leeds,,,'], Rows([A, B])),
    "an id again": (
        [LAMP, SOFA, LAMP.replace("Lamp", "Another")],
        Rows([A, B], {4: "repeats the id of an earlier row"}),
    ),
    "an id again in other case": (
        [LAMP.replace(A, str(UUID(int=10))), LAMP.replace(A, str(UUID(int=10)).upper())],
        Rows([str(UUID(int=10))], {3: "repeats the id of an earlier row"}),
    ),
    "an id again after a bad row": (
        [LAMP.replace("Home", "x" * 201), LAMP],
        Rows([A], {2: "has a name of more than 200 characters"}),
    ),
    "a header again": ([LAMP, HEADER, SOFA], Rows([A, B], {3: "is not a UUID"})),
    "a record broken in its text": (
        [LAMP, f"{B},Sofa,Home,Good.", "", "As new.,£5,Leeds,,,", BIKE],
        Rows([A, B, C]),
    ),
    "a record broken in two texts": (
        [f"{A},Lamp", "shade,Home,Good.", "As new.,£5,Leeds,,,", BIKE],
        Rows([A, C]),
    ),
    "a broken record without its end": (
        [f"{A},Lamp,Home,Good.", "As new.", SOFA],
        Rows([B], {2: "its field count is 4", 3: "its field count is 1"}),
    ),
    "a broken record without its beginning": (
        ["Good.", "As new.,£5,Leeds,,,", SOFA],
        Rows([B], {2: "its field count is 1", 3: "its field count is 6"}),
    ),
    "a record cut off": (
        [LAMP, f"{B},Sofa,Ho", BIKE],
        Rows([A, C], {3: "its field count is 3"}),
    ),
    "two records on one line": (
        [LAMP + SOFA, BIKE],
        Rows([C], {2: "its field count is 17"}),
    ),
    "a line of text behind a record": (
        [LAMP, "and more", SOFA],
        Rows([A, B], {3: "its field count is 1"}),
    ),
    "an endless line": (
        [LAMP, "x" * 1_100_000, SOFA],
        Rows([A, B], {3: "is not valid CSV: longer than 1,000 lines or 1,048,576 characters"}),
    ),
    "an endless field": (
        [LAMP, f"{B},Sofa,Home,{'x' * 140_000},£5,Leeds,,,", BIKE],
        Rows([A, C], {3: "is not valid CSV: field larger than field limit (131072)"}),
    ),
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["Unix", "Windows"])
@pytest.mark.parametrize(("lines", "outcome"), ROWS.values(), ids=ROWS)
def test_dirty_rows(tmp_path: Path, lines: list[str], outcome: Rows, line_end: str) -> None:
    path = tmp_path / PRODUCTS.name
    path.write_bytes(line_end.join([HEADER, *lines]).encode())
    table = clean_table(path)
    assert table.frame["id"].tolist() == outcome.accepted
    reasons = {reject.row: reject.reason for reject in table.rejects}
    assert list(reasons) == list(outcome.rejected)
    for row, reason in outcome.rejected.items():
        assert reasons[row].startswith(reason)
    assert table.rows == len(outcome.accepted) + len(outcome.rejected)


TABLE = "\n".join([HEADER, LAMP, SOFA.replace("Sofa", "Sofá"), BIKE, ""])
SHORT_HEADER = HEADER.removesuffix(",latitude,longitude,seller")
SHORT_LAMP = LAMP.removesuffix(",,,")

FILES: dict[str, tuple[bytes, list[str] | str]] = {
    "UTF-8": (TABLE.encode(), ["Lamp", "Sofá", "Bike"]),
    "UTF-8 with a byte order mark": (TABLE.encode("utf-8-sig"), ["Lamp", "Sofá", "Bike"]),
    "UTF-16": (TABLE.encode("utf-16"), ["Lamp", "Sofá", "Bike"]),
    "cp1252": (TABLE.encode("cp1252"), ["Lamp", "Sofá", "Bike"]),
    "UTF-8 with one damaged line": (
        TABLE.encode().replace(b"Bike", b"Bik\xe9"),
        ["Lamp", "Sofá"],
    ),
    "no line end at the end": (TABLE.rstrip("\n").encode(), ["Lamp", "Sofá", "Bike"]),
    "an index column without a name": (
        f",{SHORT_HEADER}\n0,{SHORT_LAMP}\n".encode(),
        ["Lamp"],
    ),
    "columns in another order and case": (
        f"Location,PRICE,product_description,category,product_name,ID\nLeeds,£5,,,Lamp,{A}\n".encode(),
        ["Lamp"],
    ),
    "columns that nobody knows": (f"{SHORT_HEADER},colour\n{SHORT_LAMP},red\n".encode(), ["Lamp"]),
    "coordinates by their short names": (
        f"{SHORT_HEADER},lat,lng\n{SHORT_LAMP},,\n".encode(),
        ["Lamp"],
    ),
    "a header and no rows": (f"{HEADER}\n".encode(), []),
    "nothing": (b"", "Products.csv is empty."),
    "a column is missing": (
        f"{HEADER.replace('price', 'cost')}\n{LAMP}\n".encode(),
        "Products.csv lacks the columns price.",
    ),
    "a column is there twice": (
        f"{SHORT_HEADER},price\n{SHORT_LAMP},£6\n".encode(),
        "Products.csv has the column price twice.",
    ),
    "a coordinate is there twice": (
        f"{SHORT_HEADER},lat,latitude\n{SHORT_LAMP},,\n".encode(),
        "Products.csv has the column latitude twice.",
    ),
    "no header": (f"{LAMP}\n".encode(), "Products.csv lacks the columns id"),
    "semicolons": (TABLE.replace(",", ";").encode(), ["Lamp", "Sofá", "Bike"]),
    "semicolons of Excel": (
        ("sep=;\r\n" + TABLE.replace(",", ";")).encode("utf-16"),
        ["Lamp", "Sofá", "Bike"],
    ),
    "tabs": (TABLE.replace(",", "\t").encode(), ["Lamp", "Sofá", "Bike"]),
    "bars": (TABLE.replace(",", "|").encode("utf-8-sig"), ["Lamp", "Sofá", "Bike"]),
    "no columns that are known": (b"sku;what\n1;2\n", "Its fields are parted by semicolons."),
    "line ends of an old Mac": (
        TABLE.replace("\n", "\r").encode(),
        "Products.csv has no lines: only a line feed ends one.",
    ),
    "UTF-16 without a byte order mark": (
        TABLE.encode("utf-16-le"),
        "Products.csv lacks the columns id",
    ),
    "a photo": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\n\x00", "Products.csv lacks the columns id"),
    "a page of HTML": (b"<!doctype html>\n<title>Not found</title>\n", "lacks the columns id"),
}


@pytest.mark.parametrize(("content", "outcome"), FILES.values(), ids=FILES)
def test_dirty_files(tmp_path: Path, content: bytes, outcome: list[str] | str) -> None:
    path = tmp_path / PRODUCTS.name
    path.write_bytes(content)
    if isinstance(outcome, str):
        with pytest.raises(InvalidFeed) as refused:
            clean_table(path)
        assert outcome in str(refused.value)
    else:
        assert clean_table(path).frame["title"].tolist() == outcome
