"""A backup under load, an empty machine, a restore: the same hundred answers."""

import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from db.session import Database
from db.tables import Listing
from ops.machine import Machine, machine_up
from settings import Settings
from tests.support.constant_load import TIMEOUT_S, under_load
from tests.support.deployments import forget
from tests.support.faults import DATABASES, ROUNDS
from tests.support.machine import marketlens
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

QUERIES = 100


@pytest.fixture
def another_data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    yield folder
    forget(folder)


def queries(listings: list[str]) -> list[dict[str, Any]]:
    """A hundred searches: by listings, by words, by both, filtered, and ranked."""
    words = ["lamp", "oak chair", "red", "blue table", "camera"]
    made: list[dict[str, Any]] = []
    for number in range(QUERIES):
        listing = listings[number % len(listings)]
        kinds: list[dict[str, Any]] = [
            {"listing_id": listing},
            {"positive": [listing], "negative": [listings[(number + 1) % len(listings)]]},
            {"text": words[number % len(words)]},
            {"listing_id": listing, "text": words[number % len(words)]},
            {"listing_id": listing, "filter": {"price_min": 10}},
        ]
        made.append({**kinds[number % len(kinds)], "limit": 20})
    return made


def answers(machine: Machine, listings: list[str]) -> list[list[tuple[object, ...]]]:
    """Ids and scores of what each of the queries finds."""
    with (
        httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http,
        ThreadPoolExecutor(8) as pool,
    ):

        def answer(query: dict[str, Any]) -> list[tuple[object, ...]]:
            response = http.post("/v1/searches", json=query, headers={"Prefer": "wait=30"})
            assert response.status_code == 200, response.text
            assert response.json()["status"] == "succeeded", response.text
            rows = response.json()["result"]["results"]
            return [(row["listing_id"], row["similarity"], row.get("score")) for row in rows]

        return list(pool.map(answer, queries(listings)))


def delete_all(machine: Machine, listings: list[str]) -> None:
    with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http:
        for listing in listings:
            assert http.delete(f"/v1/listings/{listing}").status_code in {204, 404}


def listings_of(settings: Settings) -> list[str]:
    with closing(Database(settings.sqlalchemy_url)) as database, database.read() as session:
        return sorted(str(row) for row in session.scalars(select(Listing.id)))


# From one kind to the other: `tests/db/snapshot`, row by row.
@pytest.mark.parametrize("kind", DATABASES if ROUNDS else ["postgresql"])
def test_an_empty_machine_gives_the_same_answers(
    kind: str,
    sample: Path,
    data_dir: Path,
    another_data_dir: Path,
    tmp_path: Path,
    new_postgres_url: Callable[[], str],
) -> None:
    def settings_of(folder: Path, kind: str, port: int) -> Settings:
        url = new_postgres_url() if kind == "postgresql" else None
        return Settings(data_dir=folder, encoder="hog", port=port, database_url=url)

    destination = str(tmp_path / "backups")
    settings = settings_of(data_dir, kind, 8420)
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        seeded = marketlens(machine.environment, "seed", str(sample))
        assert seeded.returncode == 0, seeded.stderr
        listings = listings_of(settings)
        with under_load(machine.url, listings) as ledger:
            wait_until(lambda: len(ledger.listings) > 10, TIMEOUT_S)
            accepted = list(ledger.listings)
            done = marketlens(machine.environment, "backup", destination, "--json")
            assert done.returncode == 0, done.stderr
            deleted = set(ledger.deleted)
            during = ledger.answered
        assert ledger.failures == []
        assert during > len(accepted)
        assert json.loads(done.stdout.splitlines()[-1])["generations"]
        # What came after the snapshot is no part of it; the words of all listings count.
        delete_all(machine, ledger.listings)
        expected = answers(machine, listings)

    settings = settings_of(another_data_dir, kind, 8430)
    environment = {**machine.environment, "MARKETLENS_DATA_DIR": str(another_data_dir)}
    environment.pop("MARKETLENS_DATABASE_URL", None)
    if settings.database_url:
        environment["MARKETLENS_DATABASE_URL"] = settings.database_url
    done = marketlens(environment, "restore", destination)
    assert done.returncode == 0, done.stderr
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http:
            for listing in set(accepted) - deleted:
                assert http.get(f"/v1/listings/{listing}").status_code == 200
        delete_all(machine, ledger.listings)
        found = answers(machine, listings)
    assert sum(map(bool, expected)) > QUERIES / 2
    assert found == expected
    again = marketlens(environment, "restore", destination)
    assert again.returncode == 2
    assert "--replace" in again.stderr
