"""What holds of every feed, however mangled: on real files, with made-up ones."""

from collections.abc import Callable, Sequence, Sized
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etl.rejects import Reject
from etl.tables import IMAGES, PRODUCTS, TableSpec
from models.errors import InvalidFeed
from tests.support.cleaning import CleanTable, clean_table
from tests.support.feeds import listing_id, photo_id

seeded = settings(max_examples=25, deadline=None, derandomize=True, database=None)

Row = Sequence[str]

# Texts of characters that mean something to CSV, to the cleaning or to Unicode, and whole cells of
# which the cleaning makes values.
LETTERS = list("aB9 /|,\"'\n\r\v\t£.-é\u0301\u200b\xa0\u2028🛋\x00")
TEXT = st.lists(
    st.sampled_from([*LETTERS, "Gumtree", " | in Hull | Gumtree", " / ", "N/A", "\r\r\n"]),
    max_size=8,
).map("".join)
PRICE = st.sampled_from(["£5.00", "N/A", "Free", "€1.250,00", "£12345", "£1 250 ono", "-£1", "?"])
DEGREES = st.sampled_from([("", ""), ("51.5", "-0.0001"), ("90", "1e-7"), ("91", "0"), ("1", "")])


def usually(usual: st.SearchStrategy[str], other: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 5).flatmap(lambda number: usual if number else other)


PRODUCT_ID = usually(st.integers(1, 99).map(lambda number: str(listing_id(number))), TEXT)
PHOTO_ID = usually(st.integers(1, 99).map(lambda number: str(photo_id(number))), TEXT)
TITLE = TEXT.map(lambda text: f"Lamp {text}")
PRODUCT = st.tuples(
    PRODUCT_ID, usually(TITLE, TEXT), TEXT, TEXT, usually(PRICE, TEXT), TEXT, DEGREES
).map(lambda cells: (*cells[:-1], *cells[-1]))
IMAGE = st.tuples(PHOTO_ID, PRODUCT_ID)


def written(rows: Sequence[Row]) -> str:
    """Rows as the real feed's writer writes them: quoted for commas and quotes, not for breaks."""
    return "".join(",".join(map(_field, row)) + "\n" for row in rows)


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text


def save(folder: pytest.TempPathFactory, spec: TableSpec, content: bytes) -> Path:
    path = folder.mktemp("feed") / spec.name
    path.write_bytes(content)
    return path


def content_of(table: CleanTable) -> list[tuple[object, ...]]:
    return list(table.frame.itertuples(name=None))


def faults_of(rejects: Sequence[Reject]) -> list[tuple[int, str, str, str]]:
    return [(reject.row, reject.id, reject.field, reject.kind) for reject in rejects]


def overwritten(content: bytes, *, place: float, piece: bytes) -> bytes:
    here = at(place, content)
    return content[:here] + piece + content[here + len(piece) :]


def inserted(content: bytes, *, place: float, piece: bytes) -> bytes:
    here = at(place, content)
    return content[:here] + piece + content[here:]


def cut_off(content: bytes, *, place: float) -> bytes:
    return content[: at(place, content)]


def line_cut(content: bytes, *, place: float) -> bytes:
    here = at(place, content)
    _, end, rest = content[here:].partition(b"\n")
    return content[:here] + end + rest


def line_repeated(content: bytes, *, place: float) -> bytes:
    lines = content.splitlines(keepends=True)
    here = at(place, lines)
    return b"".join([*lines[:here], *lines[here - 1 :]])


def lines_joined(content: bytes, *, place: float) -> bytes:
    here = at(place, content)
    return content[:here] + content[here:].replace(b"\n", b"", 1)


def rewritten(content: bytes, *, old: bytes, new: bytes) -> bytes:
    return content.replace(old, new)


def recoded(content: bytes, *, codec: str) -> bytes:
    return content.decode(errors="replace").encode(codec, errors="replace")


def at(place: float, content: Sized) -> int:
    """Somewhere in it, rather towards its end: a feed without its header is soon refused."""
    return len(content) - int(place * len(content))


PLACE = st.floats(0, 1)
PIECE = st.binary(max_size=3) | st.sampled_from([b'"', b",", b"\n", b"\r", b'","', b"\xff"])
LINE_END = st.sampled_from([b"\r", b"\n", b"\r\n"])
MANGLED = st.lists(
    st.one_of(
        st.builds(partial, st.just(overwritten), place=PLACE, piece=PIECE),
        st.builds(partial, st.just(inserted), place=PLACE, piece=PIECE),
        st.builds(
            partial,
            st.sampled_from([cut_off, line_cut, line_repeated, lines_joined]),
            place=PLACE,
        ),
        st.builds(partial, st.just(rewritten), old=LINE_END, new=LINE_END),
        st.builds(
            partial, st.just(recoded), codec=st.sampled_from(["utf-16", "utf-8-sig", "cp1252"])
        ),
    ),
    max_size=4,
)

Mangle = Callable[[bytes], bytes]


def mangled(content: str, mangles: Sequence[Mangle]) -> bytes:
    data = content.encode()
    for mangle in mangles:
        data = mangle(data)
    return data


@pytest.mark.parametrize(("spec", "row"), [(PRODUCTS, PRODUCT), (IMAGES, IMAGE)])
@seeded
@given(data=st.data())
def test_every_row_is_accepted_or_rejected_whatever_the_chunks(
    tmp_path_factory: pytest.TempPathFactory,
    spec: TableSpec,
    row: st.SearchStrategy[Row],
    data: st.DataObject,
) -> None:
    rows = data.draw(st.lists(row, max_size=6))
    content = mangled(written([spec.columns, *rows]), data.draw(MANGLED))
    path = save(tmp_path_factory, spec, content)
    try:
        whole = clean_table(path, spec)
    except InvalidFeed:
        return
    assert whole.rows == len(whole.frame) + len(whole.rejects)
    numbers = sorted([*whole.frame.index, *(reject.row for reject in whole.rejects)])
    assert len(set(numbers)) == whole.rows
    in_parts = clean_table(path, spec, chunk=3)
    assert content_of(in_parts) == content_of(whole)
    assert (in_parts.rows, in_parts.rejects) == (whole.rows, whole.rejects)


@seeded
@given(rows=st.lists(PRODUCT, min_size=1, max_size=6), mangles=MANGLED)
def test_cleaning_what_is_clean_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], mangles: list[Mangle]
) -> None:
    content = mangled(written([PRODUCTS.columns, *rows]), mangles)
    try:
        once = clean_table(save(tmp_path_factory, PRODUCTS, content)).frame
    except InvalidFeed:
        return
    again = clean_table(save(tmp_path_factory, PRODUCTS, rendered(once).encode()))
    assert again.rejects == []
    pd.testing.assert_frame_equal(again.frame.reset_index(drop=True), once.reset_index(drop=True))


def rendered(products: pd.DataFrame) -> str:
    """Clean products as a feed again."""
    price = products["price"].map(str).where(products["price"].notna(), "N/A")
    currency = products["currency"].fillna("")
    degrees = products[["latitude", "longitude"]].map(
        lambda value: "" if value is None else repr(value)
    )
    cells = pd.DataFrame(
        {
            "id": products["id"],
            "product_name": products["title"],
            "category": products["category"].fillna(""),
            "product_description": products["description"],
            "price": (currency + " " + price).str.strip(),
            "location": products["location"].fillna(""),
            "latitude": degrees["latitude"],
            "longitude": degrees["longitude"],
        }
    )
    return written([PRODUCTS.columns, *cells.to_numpy().tolist()])


@seeded
@given(
    texts=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=6),
    rewrite=st.sampled_from([(b"\r", b"\r\n"), (b"\r", b"\n"), (b"\n", b"\r\n")]),
)
def test_rewritten_line_ends_change_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[tuple[str, str, str]],
    rewrite: tuple[bytes, bytes],
) -> None:
    """A line break in the last column apart: see `test_text_lost_behind_a_whole_record`."""
    rows = [
        (str(listing_id(number)), *cells, "£5.00", "Leeds", "", "")
        for number, cells in enumerate(texts, start=1)
    ]
    content = written([PRODUCTS.columns, *rows]).encode()
    assume(b"\r\n" not in content)
    original = clean_table(save(tmp_path_factory, PRODUCTS, content))
    changed = clean_table(save(tmp_path_factory, PRODUCTS, content.replace(*rewrite)))
    assert content_of(changed) == content_of(original)
    assert faults_of(changed.rejects) == faults_of(original.rejects)


PLAIN = st.lists(st.sampled_from(["a", "B", " ", "é", ", ", "\r"]), max_size=6).map("".join)


@seeded
@given(
    texts=st.lists(st.tuples(PLAIN, PLAIN), min_size=3, max_size=6),
    place=PLACE,
    damage=st.sampled_from(['"', ",", "\n", ' "', '"\n', "\x00", None]),
    data=st.data(),
)
def test_one_damaged_record_costs_no_other(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[tuple[str, str]],
    place: float,
    damage: str | None,
    data: st.DataObject,
) -> None:
    """`damage` is put into one record, or None cuts it off there."""
    records = [
        written([(str(listing_id(number)), f"Lamp {title}", "", text, "£5", "Leeds", "", "")])
        for number, (title, text) in enumerate(texts, start=1)
    ]
    victim = data.draw(st.integers(0, len(records) - 1))
    record = records[victim].removesuffix("\n")
    cut = at(place, record)
    records[victim] = record[:cut] + ("" if damage is None else damage + record[cut:]) + "\n"
    content = written([PRODUCTS.columns]) + "".join(records)
    table = clean_table(save(tmp_path_factory, PRODUCTS, content.encode()))
    others = {str(listing_id(number)) for number in range(1, len(records) + 1)}
    others.remove(str(listing_id(victim + 1)))
    assert others <= set(table.frame["id"])
