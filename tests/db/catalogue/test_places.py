"""What a geocoder said of a place is kept, also that there is no such place."""

from db.catalogue.places import Coordinates, known_places, store_places
from db.session import Database
from tests.support.clock import Clock

LEEDS = Coordinates(53.7974, -1.5438)


def test_answers_are_known_afterwards(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        store_places(session, {"Leeds, West Yorkshire": LEEDS, "Nowhere": None}, clock.now)
    with any_database.read() as session:
        known = known_places(session, ["Leeds, West Yorkshire", "Nowhere", "Zürich", "leeds"])
    assert known == {"Leeds, West Yorkshire": LEEDS, "Nowhere": None}


def test_a_later_answer_replaces_the_earlier(any_database: Database, clock: Clock) -> None:
    for answer in (None, LEEDS, Coordinates(0.0, 0.0)):
        with any_database.write() as session:
            store_places(session, {"Leeds": answer}, clock.now)
        with any_database.read() as session:
            assert known_places(session, ["Leeds"]) == {"Leeds": answer}


def test_more_names_than_a_statement_may_have(any_database: Database, clock: Clock) -> None:
    answers = {f"Place {number}": Coordinates(number / 1000, 0.5) for number in range(40_000)}
    with any_database.write() as session:
        store_places(session, answers, clock.now)
    with any_database.read() as session:
        assert known_places(session, [*answers, "Elsewhere"]) == answers


def test_nothing_to_remember(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        store_places(session, {}, clock.now)
        assert known_places(session, []) == {}
