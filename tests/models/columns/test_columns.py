"""Columns after any history are the listings as they are: against counting them one by one."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.columns.columns import Columns
from models.columns.facets import facets_of
from models.columns.passing import Passing, passing
from models.columns.snapshot import Origin, SnapshotUnusable, load_columns, save_columns
from models.domain.filters import ListingFilter
from models.domain.searches.attributes import AttributeCondition
from models.domain.searches.facets import FacetRequest
from models.domain.types import ListingStatus
from tests.support.columns import (
    NAMES,
    PATHS,
    SHOWN,
    TEXTS,
    Item,
    batch_of,
    check_facet,
    id_of,
    items,
    passes,
)

HERE = Origin("here", "last")

CONDITIONS = st.one_of(
    st.builds(
        AttributeCondition,
        name=st.sampled_from([*NAMES, "unheard"]),
        any_of=st.lists(
            st.sampled_from([*TEXTS, True, False, 1, 0, 40, 2.5]), min_size=1, max_size=3
        ).map(tuple),
    ),
    st.builds(
        AttributeCondition,
        name=st.sampled_from(NAMES),
        at_least=st.none() | st.integers(-3, 50),
        at_most=st.none() | st.integers(-3, 50),
    ),
)
FILTERS = st.builds(
    ListingFilter,
    price_max=st.none() | st.decimals(0, 110, places=3),
    currency=st.sampled_from([None, None, "GBP", "USD"]),
    seller=st.sampled_from([None, None, "ann", "nobody"]),
    exclude_seller=st.sampled_from([None, None, "ann", "nobody"]),
    status=st.lists(st.sampled_from(SHOWN), min_size=1, unique=True).map(tuple),
    attributes=st.lists(CONDITIONS, max_size=2).map(tuple),
)
EDGES = st.lists(st.integers(-5, 110), max_size=4, unique=True).map(lambda e: tuple(sorted(e)))
REQUESTS = st.builds(
    FacetRequest,
    name=st.sampled_from(["category", "price", *(f"attributes.{name}" for name in NAMES)]),
    values=st.sampled_from([1, 2, 20]),
    edges=EDGES,
)


def written(columns: Columns, changed: list[Item]) -> Columns:
    """The columns after a transaction that wrote these listings, the last of each number."""
    there = {item.number: item for item in changed}
    kept = [item for item in there.values() if item.status is not ListingStatus.DELETED]
    numbers = np.array(list(there), np.int64)
    return columns.updated(columns.last_change + 1, numbers, batch_of(kept))


def again(columns: Columns) -> Columns:
    """The same, from a file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "columns"
        save_columns(file, columns, HERE)
        loaded, origin = load_columns(file)
        assert origin == HERE
        return loaded


def check(found: Passing, expected: list[Item]) -> None:
    by_photo = {
        photo: sorted(item.id for item in expected if photo in item.photos)
        for photo in range(1, 10)
        if any(photo in item.photos for item in expected)
    }
    assert found.listings == len(expected)
    assert found.photos().tolist() == sorted(by_photo)
    assert found.listings_of(range(12)) == by_photo


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.lists(items(), max_size=8), max_size=8),
    st.lists(FILTERS, min_size=1, max_size=4),
    st.lists(REQUESTS, min_size=1, max_size=4),
    st.sets(st.integers(0, 25), max_size=12),
    st.sampled_from([None, 0, 2, 5]),
)
def test_any_history_is_as_brute_force_finds_it(
    history: list[list[Item]],
    filters: list[ListingFilter],
    requests: list[FacetRequest],
    numbers: set[int],
    from_file_after: int | None,
) -> None:
    columns, truth = Columns(), dict[int, Item]()
    for step, changed in enumerate(history):
        columns = written(columns, changed)
        truth |= {item.number: item for item in changed}
        if step == from_file_after and columns.segments:
            columns = again(columns)
    assert columns.last_change == len(history)
    there = [item for item in truth.values() if item.status is not ListingStatus.DELETED]
    assert columns.listings == columns.compacted().listings == len(there)
    for wanted in filters:
        expected = [item for item in there if passes(item, wanted)]
        found = passing(columns, wanted, None)
        check(found, expected)
        check(passing(columns.compacted(), wanted, None), expected)
        among = [item for item in expected if item.number in numbers]
        check(found.among(np.array(sorted(numbers), np.int64)), among)
        for facet, request in zip(facets_of(found, requests, PATHS), requests, strict=True):
            check_facet(facet, request, expected)


def test_what_is_held_stays_as_it_was_when_listings_change() -> None:
    item = Item(1, attributes={"size": "M"}, photos=(1,))
    before = written(Columns(), [item])
    after = written(before, [Item(1, attributes={"size": "L"}), Item(2, photos=(1,))])
    check(passing(before, ListingFilter(), None), [item])
    assert after.listings == 2


def test_segments_are_few() -> None:
    columns = Columns()
    for number in range(1, 301):
        columns = written(columns, [Item(number)])
        sizes = [segment.rows for segment in columns.segments]
        assert len(sizes) <= 10
        assert all(one >= 2 * other for one, other in pairwise(sizes))


def test_prices_are_compared_exactly() -> None:
    columns = written(Columns(), [Item(1, price=999), Item(2, price=1_000), Item(3)])

    def found(**bounds: Decimal) -> list[int]:
        wanted = ListingFilter(**bounds)  # type: ignore[arg-type]
        (mask,) = passing(columns, wanted, None).masks
        return [int(number) for number in columns.segments[0].numbers[mask]]

    assert found(price_min=Decimal("9.991")) == [2]
    assert found(price_min=Decimal("9.99")) == [1, 2]
    assert found(price_max=Decimal("9.999")) == [1]
    assert found(price_max=Decimal("9.989")) == []
    assert found(price_min=Decimal("-0.01")) == [1, 2]
    assert found(price_max=Decimal("1e40")) == [1, 2]


def test_a_text_is_shown_as_it_was_first_written_also_from_a_file() -> None:
    first = Item(1, attributes={"colour": "Straße"})
    columns = written(Columns(), [first, Item(2, attributes={"colour": "STRASSE"})])
    for held in (columns, again(columns)):
        more = written(held, [Item(3, attributes={"colour": ["strasse", "Red", "red"]})])
        found = passing(more, ListingFilter(), None)
        (facet,) = facets_of(found, [FacetRequest("attributes.colour")], {})
        assert [(one.value, one.count) for one in facet.values] == [("Straße", 3), ("Red", 1)]


def test_texts_of_equal_hash_are_told_apart() -> None:
    # Two of the best known words with the same CRC-32.
    words = ["plumless", "buckeroo"]
    listed = [
        Item(n, attributes={"name": word}, photos=(n,)) for n, word in enumerate(words, start=1)
    ]
    columns = again(written(Columns(), listed))
    for item, word in zip(listed, words, strict=True):
        wanted = ListingFilter(attributes=(AttributeCondition("name", (word,)),))
        check(passing(columns, wanted, None), [item])


@pytest.mark.parametrize("size", [0, 1, 15, 16, 100, -1, -9])
def test_a_file_that_is_cut_off_is_not_used(tmp_path: Path, size: int) -> None:
    file = tmp_path / "columns"
    save_columns(file, written(Columns(), [Item(1)]), HERE)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(SnapshotUnusable):
        load_columns(file)


def test_a_file_with_another_byte_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "columns"
    save_columns(file, written(Columns(), [Item(1, photos=(1,))]), HERE)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(SnapshotUnusable, match="damaged"):
        load_columns(file)


def test_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SnapshotUnusable):
        load_columns(tmp_path / "columns")


def test_rows_are_found_by_their_ids() -> None:
    (segment,) = written(Columns(), [Item(number) for number in range(1, 50)]).segments
    wanted = np.array([id_of(number).bytes for number in (7, 99, 1, 49, 7)], "S16")
    rows = segment.rows_of(wanted)
    assert rows[1] == -1
    assert segment.numbers[rows[[0, 2, 3, 4]]].tolist() == [7, 1, 49, 7]


def test_columns_of_nothing_are_in_a_file_too() -> None:
    item = Item(1, attributes={"size": "M"}, photos=(1,))
    columns = written(written(Columns(), [item]), [replace(item, status=ListingStatus.DELETED)])
    columns = again(columns)
    check(passing(columns, ListingFilter(), None), [])
    check(passing(written(columns, [item]), ListingFilter(), None), [item])
