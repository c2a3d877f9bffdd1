"""Requests that never stop, and a ledger of what was answered."""

import json
import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

import httpx2

from tests.support.pictures import jpeg

TIMEOUT_S = 60
SELLER = "load"


@dataclass
class Ledger:
    """Every request that was made: what was accepted, and what went wrong.

    `listings` are those that a 202 was answered for, `failures` sentences, `answered` how many
    requests had the answer that they should have.
    """

    listings: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    answered: int = 0
    _lock: Lock = field(default_factory=Lock)

    def note(self, what: str, response: httpx2.Response, *expected: int) -> bool:
        """Count a response; whether it is as expected."""
        good = response.status_code in expected
        with self._lock:
            if good:
                self.answered += 1
            else:
                self.failures.append(f"{what}: {response.status_code} {response.text[:200]}")
        return good

    def fail(self, what: str, error: Exception) -> None:
        """Count a request that had no answer."""
        with self._lock:
            self.failures.append(f"{what}: {type(error).__name__} {error}")


@contextmanager
def under_load(url: str, searched: list[str], *, threads: int = 2) -> Generator[Ledger]:
    """Search, post and delete listings, in so many threads of each kind, until the block ends.

    `searched` are the ids of listings that are searched by.
    """
    ledger, stop = Ledger(), Event()
    workers = [
        Thread(target=work, args=(url, searched, ledger, stop, number))
        for number in range(threads)
        for work in (_search, _post)
    ]
    for worker in workers:
        worker.start()
    try:
        yield ledger
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _search(url: str, searched: list[str], ledger: Ledger, stop: Event, number: int) -> None:
    draw = random.Random(number)
    with httpx2.Client(base_url=url, timeout=TIMEOUT_S) as http:
        while not stop.is_set():
            body = {"listing_id": draw.choice(searched), "limit": 5}
            try:
                response = http.post("/v1/searches", json=body, headers={"Prefer": "wait=20"})
            except httpx2.TransportError as error:
                ledger.fail("search", error)
                continue
            if ledger.note("search", response, 200, 202) and response.status_code == 200:
                status = response.json()["status"]
                if status != "succeeded":
                    ledger.failures.append(f"search: {status}")


def _post(url: str, searched: list[str], ledger: Ledger, stop: Event, number: int) -> None:
    del searched
    made = 0
    mine: list[str] = []
    with httpx2.Client(base_url=url, timeout=TIMEOUT_S) as http:
        while not stop.is_set():
            made += 1
            listing = {"title": f"Loaded {number} {made}", "seller": SELLER}
            photo = jpeg(1_000 * (number + 1) + made)
            try:
                response = http.post(
                    "/v1/listings",
                    data={"listing": json.dumps(listing)},
                    files=[("photos", ("photo.jpg", photo))],
                )
                if ledger.note("post", response, 202):
                    mine.append(response.json()["listing_id"])
                    ledger.listings.append(mine[-1])
                if made % 3 == 0:
                    gone = mine.pop(0)
                    ledger.deleted.add(gone)
                    ledger.note("delete", http.delete(f"/v1/listings/{gone}"), 204, 404)
            except httpx2.TransportError as error:
                ledger.fail("post or delete", error)
            stop.wait(0.05)
