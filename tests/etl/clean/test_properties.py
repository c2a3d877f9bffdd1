"""What holds of every feed, however mangled: on real files, with made-up ones."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etl.clean.feed_tables import IMAGES, PRODUCTS, TableSpec
from etl.clean.rejects import Reject
from models.domain.errors import InvalidFeed
from tests.support.cleaning import CleanTable, clean_table
from tests.support.feeds import listing_id
from tests.support.mangling import (
    MANGLED,
    PLACE,
    TEXT,
    Mangle,
    Row,
    at,
    image_rows,
    mangled,
    product_rows,
    written,
)

seeded = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def save(folder: pytest.TempPathFactory, spec: TableSpec, content: bytes) -> Path:
    path = folder.mktemp("feed") / spec.name
    path.write_bytes(content)
    return path


def content_of(table: CleanTable) -> list[tuple[object, ...]]:
    return list(table.frame.itertuples(name=None))


def faults_of(rejects: Sequence[Reject]) -> list[tuple[int, str, str, str]]:
    return [(reject.row, reject.id, reject.field, reject.kind) for reject in rejects]


@pytest.mark.parametrize(
    ("spec", "row"), [(PRODUCTS, product_rows(99)), (IMAGES, image_rows(99, 99))]
)
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
@given(rows=st.lists(product_rows(99), min_size=1, max_size=6), mangles=MANGLED)
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
            "seller": products["seller"].fillna(""),
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
        (str(listing_id(number)), *cells, "£5.00", "Leeds", "", "", "")
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
        written([(str(listing_id(number)), f"Lamp {title}", "", text, "£5", "Leeds", "", "", "")])
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
