"""What is found by words, in which order, and how much is looked at."""

from collections.abc import Callable, Mapping
from contextlib import closing
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, update
from sqlalchemy import text as sql

from db.catalogue.filters import ACTIVE
from db.catalogue.listings import ListingData, upsert_listings
from db.catalogue.touched import touch_listings
from db.session import Database
from db.tables import Listing
from db.text import search, write
from db.text.resolve import resolve
from db.text.search import FoundTexts, find_texts, text_match_numbers, text_scores
from db.text.word_index import VECTOR
from models.domain.errors import InvalidInput
from models.domain.filters import ListingFilter
from models.domain.types import ListingStatus
from models.text.languages import TextLanguage
from models.text.query import parse_query
from tests.support.clock import Clock

HOSTILE = st.text(
    st.sampled_from("oak-\"' \\*^:()&|!<>{}%_\0\t“é東塔ก็👍\u202e\u0301=#;") | st.characters(),
    max_size=40,
)


def add(database: Database, titles: Mapping[int, str], **fields: str) -> None:
    """Listings with these titles; each number is also that of the listing's id."""
    with database.write() as session:
        listings = [ListingData(UUID(int=n), title, **fields) for n, title in titles.items()]  # type: ignore[arg-type]
        upsert_listings(session, listings, Clock()())
        # Behind those that are there: an UPDATE may not give a number twice meanwhile.
        for number in titles:
            row = update(Listing).where(Listing.id == UUID(int=number))
            session.execute(row.values(number=number).execution_options(synchronize_session=False))
        touch_listings(session, [UUID(int=number) for number in titles])


def find(
    database: Database,
    text: str,
    *,
    limit: int = 100,
    wanted: ListingFilter = ACTIVE,
    language: TextLanguage = "english",
) -> FoundTexts:
    with database.read() as session:
        query = resolve(session, parse_query(text), language)
        return find_texts(session, query, limit=limit, wanted=wanted)


def numbers(found: FoundTexts) -> list[int]:
    return [match.number for match in found.matches]


def test_equal_scores_are_newest_first_and_a_title_comes_before_a_description(
    any_database: Database,
) -> None:
    add(any_database, {1: "Oak table", 2: "Oak table", 3: "Oak table with drawers"})
    add(any_database, {4: "Table"}, description="Of oak")
    assert numbers(find(any_database, "oak table ")) == [2, 1, 3, 4]
    assert numbers(find(any_database, "oak table ", limit=2)) == [2, 1]


def test_inflections_are_of_the_language(any_database: Database) -> None:
    add(any_database, {1: "Lamps", 2: "Lamp", 3: "Lampen"})
    assert numbers(find(any_database, "lamp ")) == [2, 1]
    assert numbers(find(any_database, "lamp ", language="german")) == [2, 3]
    assert numbers(find(any_database, "lamp ", language="none")) == [2]
    assert numbers(find(any_database, '"lamp"')) == [2]


def test_a_misspelt_word_is_searched_as_what_it_is_meant_for(any_database: Database) -> None:
    add(any_database, {1: "Oak tables", 2: "Oak cupboard"})
    found = find(any_database, "oak cubpoard -red")
    assert (numbers(found), found.searched.corrected) == ([2], "oak cupboard -red")
    assert find(any_database, "oak cupboard").searched.corrected is None
    assert numbers(find(any_database, '"cubpoard"')) == []


def test_terms_are_left_out_until_something_matches(any_database: Database) -> None:
    add(any_database, {1: "Oak table", 2: "Oak chair", 3: "Oak chair", 4: "Pine lamp"})
    found = find(any_database, "oak lamp zzz ")
    assert (numbers(found), found.dropped) == ([4], ("oak", "zzz"))
    assert numbers(find(any_database, "zzz ")) == []


def test_only_what_passes_is_found(any_database: Database) -> None:
    add(any_database, {1: "Oak table", 2: "Oak table"}, seller="sam")
    add(any_database, {3: "Oak table"}, status=ListingStatus.SOLD)
    assert numbers(find(any_database, "oak ")) == [2, 1]
    sold = ListingFilter(status=(ListingStatus.SOLD,))
    assert numbers(find(any_database, "oak ", wanted=sold)) == [3]
    assert numbers(find(any_database, "oak ", wanted=ListingFilter(exclude_seller="sam"))) == []


@pytest.mark.parametrize("is_narrow", [True, False])
def test_of_common_words_the_newest_are_looked_at(
    any_database: Database, monkeypatch: pytest.MonkeyPatch, *, is_narrow: bool
) -> None:
    monkeypatch.setattr(search, "ALL_READ", 4)
    monkeypatch.setattr(search, "SCORED", 2)
    titles = dict.fromkeys((1, 2, 20000, 70000, 300000), "Oak table")
    add(any_database, titles | {900_000: "Lamp"})
    add(any_database, {1_000_000: "Lamp"}, description="oak")
    passing = ListingFilter(exclude_seller="x") if is_narrow else ACTIVE
    found = find(any_database, "oak ", limit=1, wanted=passing)
    # Within the span there is none that has it in the title.
    assert numbers(found) == [1_000_000]
    assert not found.exact
    monkeypatch.setattr(search, "SPAN", 1 << 20)
    found = find(any_database, "oak ", limit=1, wanted=passing)
    assert numbers(found) == [300_000]
    assert not found.exact
    monkeypatch.setattr(search, "SCORED", 9)
    found = find(any_database, "oak ", wanted=passing)
    assert numbers(found) == [300_000, 70_000, 20_000, 2, 1, 1_000_000]
    assert found.exact


@given(text=HOSTILE)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(text="oak\0 AND")
@example(text='oak "')
@example(text="'); DROP TABLE listings --")
@example(text="title:oak NEAR(oak table, 2) ^oak oak* {a b}: x + y")
@example(text="oak:A & !table | (x <-> y)")
@example(text=" ".join(f"w{n}" for n in range(64)))
@example(text=" ".join(f"abcdefg{chr(97 + n)}h" for n in range(26)))
@example(text="a" * 500)
@example(text="\u05e9\u05dc\u05d5\u05dd \u202e oak")
@example(text="Z" + "\u0301" * 499)
def test_no_text_breaks_a_search(any_database: Database, text: str) -> None:
    add(any_database, {1: "Oak table = # 東京塔 \\ '", 2: "ก็ é x"})
    try:
        query = parse_query(text)
    except InvalidInput:
        return
    with any_database.read() as session:
        resolved = resolve(session, query, "english")
        found = find_texts(session, resolved, limit=10)
        assert all(0 < match.score <= 1 for match in found.matches)
        text_match_numbers(session, found.searched)
        text_scores(session, resolved, [UUID(int=1)])


def test_a_query_has_a_bounded_number_of_statements(database: Database) -> None:
    add(database, {1: "Oak table"})
    query = parse_query(" ".join(f"abcdefg{chr(97 + n)}h" for n in range(26)))
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(database.engine, "before_cursor_execute", count)
    with database.read() as session:
        find_texts(session, resolve(session, query, "english"), limit=10)
    assert statements < 26 + 2 * 4 + 10


def test_postgresql_uses_its_index(new_postgres_url: Callable[[], str]) -> None:
    with closing(Database(new_postgres_url())) as database, database.read() as session:
        session.execute(sql("SET LOCAL enable_seqscan = off"))
        query = f"SELECT number FROM listing_texts WHERE {VECTOR} @@ CAST('oak' AS tsquery)"  # noqa: S608 - a constant
        plan = session.scalars(sql(f"EXPLAIN {query}"))
        assert "ix_listing_texts_words" in " ".join(plan)


def test_allowed_numbers_end_where_the_array_does(any_database: Database) -> None:
    add(any_database, {1: "Oak", 2: "Oak", 3: "Oak"})
    with any_database.read() as session:
        query = resolve(session, parse_query("oak"), "english")
        found = find_texts(session, query, limit=9, allowed=np.array([True, False, True]))
    assert numbers(found) == [2]


def test_texts_are_written_in_parts(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "AT_ONCE", 2)
    add(any_database, {number: f"Oak {number}" for number in range(1, 6)})
    assert numbers(find(any_database, "oak ")) == [5, 4, 3, 2, 1]
