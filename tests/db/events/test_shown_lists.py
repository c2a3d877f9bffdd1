"""The lists from which something was chosen, of both databases."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from db.events.all_events import all_events
from db.events.shown_lists import ListedEvent, newest_lists, user_numbers
from db.events.store import NewEvent
from db.events.users import user_key
from db.jobs.accepting import accept
from db.session import Database
from models.domain.recommendations.events import EventKind
from models.domain.types import JobType
from tests.support.clock import Clock
from tests.support.events import add_listings, event, store
from tests.support.payloads import some_payload


def events_of_list(
    clock: Clock, number: int, user: str = "ann", *, chosen: bool = True
) -> list[NewEvent]:
    """Three listings that are shown, of which the second is viewed a minute later."""
    search = UUID(int=number)
    shown = [
        replace(
            event(f"{number} {user} {place}", user, place, clock(), EventKind.IMPRESSION),
            search_id=search,
            position=place,
        )
        for place in (1, 2, 3)
    ]
    at = clock() + timedelta(minutes=number)
    viewed = replace(event(f"{number} {user} viewed", user, 2, at), search_id=search)
    return [*shown, viewed] if chosen else shown


def read(database: Database, count: int = 10) -> list[ListedEvent]:
    with database.read() as session:
        return newest_lists(session, count)


def lists_in(found: list[ListedEvent]) -> set[tuple[int, bytes]]:
    return {(one.search_id.int, one.user_key) for one in found if one.search_id is not None}


def test_a_list_is_read_with_all_that_names_it(any_database: Database, clock: Clock) -> None:
    add_listings(any_database, 3, clock())
    elsewhere = event("else", "ann", 1, clock())
    store(any_database, [*events_of_list(clock, 1), elsewhere], clock())
    with any_database.read() as session:
        ann = user_key(session, "ann")
    assert read(any_database) == [
        *(
            ListedEvent(UUID(int=1), ann, place, EventKind.IMPRESSION, clock(), place)
            for place in (1, 2, 3)
        ),
        ListedEvent(UUID(int=1), ann, 2, EventKind.VIEWED, clock() + timedelta(minutes=1), None),
    ]


def test_lists_without_a_choice_and_those_of_searches_are_left_out(
    any_database: Database, clock: Clock
) -> None:
    add_listings(any_database, 3, clock())
    with any_database.write() as session:
        for number, kind in ((1, JobType.SEARCH), (2, JobType.DUPLICATES)):
            accept(session, some_payload(kind), job_id=UUID(int=number), now=clock())
    for number in (1, 2, 3):
        store(any_database, events_of_list(clock, number), clock())
    store(any_database, events_of_list(clock, 4, chosen=False), clock())
    assert {search for search, _ in lists_in(read(any_database))} == {2, 3}


def test_the_newest_are_read_and_each_users_own(any_database: Database, clock: Clock) -> None:
    add_listings(any_database, 3, clock())
    for number in (1, 2, 3):
        store(any_database, events_of_list(clock, number), clock())
    # Another user under the same id, who has chosen nothing.
    store(any_database, events_of_list(clock, 3, "bea", chosen=False), clock())
    with any_database.read() as session:
        ann = user_key(session, "ann")
    assert lists_in(read(any_database, 2)) == {(2, ann), (3, ann)}
    assert lists_in(read(any_database, 0)) == set()


def test_users_have_the_numbers_that_all_events_have(any_database: Database, clock: Clock) -> None:
    add_listings(any_database, 1, clock())
    names = [f"user {number}" for number in range(20)]
    store(any_database, [event(name, name, 1, clock()) for name in names], clock())
    with any_database.read() as session:
        numbers = user_numbers(session)
        keys = [user_key(session, name) for name in names]
        assert all_events(session).users.tolist() == [numbers[key] for key in keys]
