"""A category keeps its integer for ever; new ones come after those that are there."""

import json
import random
from uuid import UUID

from db.catalogue.categories import ExportedCategories, export_categories
from db.catalogue.listings import (
    ListingData,
    delete_listing,
    upsert_listings,
)
from db.session import Database
from tests.support.clock import Clock

PATHS = ["Home / Lamps", "Home / Chairs", "Cars", "Cars / Parts / Wheels", "Pets / Dogs", "Home"]


def listed(number: int, category: str | None) -> ListingData:
    return ListingData(UUID(int=number), f"Thing {number}", category=category)


def export(database: Database) -> ExportedCategories:
    with database.read() as session:
        return export_categories(session)


def test_the_dictionary_goes_both_ways(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        upsert_listings(session, [listed(n, path) for n, path in enumerate(PATHS)], clock.now)
    exported = export(any_database)
    ids, paths, parents = exported["ids"], exported["paths"], exported["parents"]
    assert ids.keys() == {*PATHS, "Cars / Parts", "Pets"}
    assert paths == {str(number): path for path, number in ids.items()}
    assert list(ids.values()) == sorted(ids.values())
    assert parents == {
        str(number): ids.get(path.rpartition(" / ")[0]) for path, number in ids.items()
    }
    assert json.loads(json.dumps(exported)) == exported


def test_nothing_to_export(any_database: Database) -> None:
    assert export(any_database) == {"ids": {}, "paths": {}, "parents": {}}


def test_integers_never_change_and_new_ones_are_appended(
    any_database: Database, clock: Clock
) -> None:
    before: dict[str, int] = {}
    for seed in range(4):
        paths = [*PATHS, *(f"New / {number}" for number in range(3 * seed))]
        random.Random(seed).shuffle(paths)
        with any_database.write() as session:
            upsert_listings(session, [listed(n, path) for n, path in enumerate(paths)], clock.now)
        after = export(any_database)["ids"]
        assert {path: after[path] for path in before} == before
        newest = max(before.values(), default=0)
        assert all(after[path] > newest for path in after.keys() - before)
        before = after


def test_a_category_outlives_its_listings(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        upsert_listings(session, [listed(1, "Home / Lamps"), listed(2, "Cars")], clock.now)
    before = export(any_database)
    with any_database.write() as session:
        delete_listing(session, UUID(int=1), clock.now)
        upsert_listings(session, [listed(2, "Boats")], clock.now)
    after = export(any_database)["ids"]
    assert {path: after[path] for path in before["ids"]} == before["ids"]
    assert after["Boats"] > max(before["ids"].values())
    with any_database.write() as session:
        upsert_listings(session, [listed(3, "Cars"), listed(1, "Home / Lamps")], clock.now)
    assert export(any_database)["ids"] == after
