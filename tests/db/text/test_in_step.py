"""The index of words is what a reading of all rows says, after any history."""

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.session import Database
from models.domain.types import ListingStatus
from models.text.languages import TextLanguage
from tests.support.clock import Clock
from tests.support.texts import assert_found, assert_in_step

WORD = st.sampled_from(
    ["oak", "oaks", "Table", "tables", "lamp", "Café", "red", "retro", "東京塔", "men's", "x1", "-"]
)
LINE = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
LISTING = st.builds(
    ListingData,
    id=st.integers(1, 6).map(lambda n: UUID(int=n)),
    title=LINE,
    description=st.just("") | LINE,
    category=st.sampled_from([None, "Home / Tables", "Home / Lamps"]),
    status=st.sampled_from([ListingStatus.ACTIVE, ListingStatus.SOLD]),
    attributes=st.none() | st.dictionaries(st.sampled_from(["brand", "new"]), LINE | st.booleans()),
)
Step = tuple[list[ListingData], list[UUID], bool]
STEP = st.tuples(
    st.lists(LISTING, max_size=4, unique_by=lambda listing: listing.id),
    st.lists(st.integers(1, 6).map(lambda n: UUID(int=n)), max_size=2),
    st.booleans(),
)
QUERIES = (
    *("oak ", "oak table ", "tab", "lampe ", '"oak table"', '"table oak" -red', "oak -lamp "),
    *("cafe", "東京", "塔", '"東京塔"', "mens ", "oak -oaks -x1 ", "home ", "re", '"red"'),
)


class Killed(Exception):
    """Stands for the end of a process in the middle of a transaction."""


@pytest.mark.parametrize("language", ["english", "none"])
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(STEP, min_size=1, max_size=4))
def test_after_any_history(
    any_database: Database, history: list[Step], language: TextLanguage
) -> None:
    for step in history:
        with suppress(Killed):
            run(any_database, *step)
    with any_database.read() as session:
        assert_found(session, assert_in_step(session), QUERIES, language)


def run(
    database: Database, listings: list[ListingData], deleted: list[UUID], is_killed: bool
) -> None:
    clock = Clock()
    with database.write() as session:
        upsert_listings(session, listings, clock())
        delete_listings(session, deleted, clock())
        if is_killed:
            raise Killed
