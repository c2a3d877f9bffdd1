"""Photos that only a saved search names are kept."""

from uuid import uuid4

from db import audit
from db.saved_searches.searches import NewSavedSearch, delete_saved_search, save_search
from db.session import Database
from models.domain.job_payloads import SearchPayload
from tests.support.catalogue import sha256
from tests.support.clock import Clock


def test_they_are_referenced_until_it_is_deleted(any_database: Database, clock: Clock) -> None:
    payload = SearchPayload(
        positive=(sha256(1), uuid4(), sha256(2)), negative=(sha256(3),), limit=1
    )
    with any_database.write() as session:
        new = NewSavedSearch(uuid4(), "Kettles", {}, payload, {})
        search_id = save_search(session, new, clock()).row.id
    asked = [sha256(number) for number in range(5)]
    with any_database.read() as session:
        assert audit.referenced(session, asked) == {sha256(1), sha256(2), sha256(3)}
    with any_database.write() as session:
        delete_saved_search(session, search_id)
    with any_database.read() as session:
        assert audit.referenced(session, asked) == set()
