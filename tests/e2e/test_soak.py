"""Searches while listings come, go and are indexed anew: no error, nothing stale, nothing lost.

`MARKETLENS_TEST_SOAK_S` says for how long; `make soak` does it for ten minutes.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import httpx2
import numpy as np
import psutil
import pytest

from db.access.keys import create_key
from db.session import Database
from models.domain.types import Scope
from ops.machine import Machine, machine_up
from settings import Settings
from tests.support.machine import TIMEOUT_S
from tests.support.pictures import jpeg

pytestmark = pytest.mark.e2e

SECONDS = float(os.environ.get("MARKETLENS_TEST_SOAK_S", "10"))
# Over shorter times memory is still growing into what it needs.
FLAT_AFTER_S = 300
MOST_LISTINGS = 150
SEARCHERS = 2


class Stock:
    """What was posted and deleted, and when the market may rely on it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.alive: dict[str, bytes] = {}
        self.deleted: dict[str, bytes] = {}
        self.posted = self.searches = self.reindexes = 0
        self.failures: list[str] = []

    def now(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        with self._lock:
            return dict(self.alive), dict(self.deleted)

    def add(self, listing_id: str, photo: bytes) -> None:
        with self._lock:
            self.alive[listing_id] = photo

    def leave(self, listing_id: str) -> bytes:
        """It is about to be deleted: from now on a search may find it or not."""
        with self._lock:
            return self.alive.pop(listing_id)

    def gone(self, listing_id: str, photo: bytes) -> None:
        with self._lock:
            self.deleted[listing_id] = photo


class Market:
    """The people at work, each with a connection of their own."""

    def __init__(self, http: httpx2.Client, stock: Stock, seed: int) -> None:
        self._http = http
        self._stock = stock
        self._random = random.Random(seed)

    def trade(self) -> None:
        """Post a listing and wait until it can be found; delete one when there are many."""
        photo = jpeg(10_000 + self._stock.posted)
        self._stock.posted += 1
        accepted = self._http.post(
            "/v1/listings",
            data={"listing": json.dumps({"title": f"Posted {self._stock.posted}"})},
            files=[("photos", ("photo.jpg", photo))],
        ).raise_for_status()
        self._finished(accepted.headers["Location"])
        self._stock.add(accepted.json()["listing_id"], photo)
        alive, _ = self._stock.now()
        if len(alive) > MOST_LISTINGS or self._random.random() < 1 / 3:
            listing_id = self._random.choice(list(alive))
            shown = self._stock.leave(listing_id)
            self._http.delete(f"/v1/listings/{listing_id}").raise_for_status()
            self._stock.gone(listing_id, shown)

    def search(self) -> None:
        """Look for something that is there, or for something that is not there any more."""
        alive, deleted = self._stock.now()
        if not alive:
            return
        among = deleted if deleted and self._random.random() < 1 / 2 else alive
        wanted = self._random.choice(list(among))
        answer = self._http.post(
            "/v1/searches",
            files=[("photo", ("photo.jpg", among[wanted]))],
            data={"limit": "20"},
            headers={"Prefer": "wait=30"},
        ).raise_for_status()
        job = answer.json()
        assert job["status"] == "succeeded", job
        found = [row["listing_id"] for row in job["result"]["results"]]
        stale = deleted.keys() & set(found)
        assert not stale, f"found {stale} after they were deleted"
        still_there, _ = self._stock.now()
        if wanted in alive and wanted in still_there:
            assert found[0] == wanted, f"{wanted} is {'not first' if wanted in found else 'lost'}"
        self._stock.searches += 1

    def reindex(self) -> None:
        accepted = self._http.post("/v1/admin/reindex")
        if accepted.status_code != httpx2.codes.CONFLICT:
            self._finished(accepted.raise_for_status().headers["Location"])
            self._stock.reindexes += 1

    def _finished(self, place: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            job: dict[str, Any] = self._http.get(place).raise_for_status().json()
            if job["status"] not in {"queued", "running"}:
                assert job["status"] == "succeeded", job
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.02)


@contextmanager
def over_and_over(work: Callable[[], None], failures: list[str], pause_s: float) -> Iterator[None]:
    """Do it in a thread until the block ends; the first failure is told, and ends it."""
    stop = Event()

    def run() -> None:
        while not stop.wait(pause_s):
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whatever it is fails the test
                failures.append(f"{work.__qualname__}: {error!r}")
                return

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def private_mb() -> float:
    """Memory of their own that all our processes have."""
    total = 0
    for child in psutil.Process().children(recursive=True):
        try:
            total += child.memory_full_info().uss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def admin_key(settings: Settings) -> str:
    database = Database(settings.sqlalchemy_url)
    with database.write() as session:
        key = create_key(session, "admin", list(Scope), datetime.now(UTC))
    database.close()
    return key


def test_searches_go_on_while_the_catalogue_and_the_index_change(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", port=8230)
    stock, memory = Stock(), []
    with machine_up(settings, print) as machine, ExitStack() as stack:
        machine.wait_until_ready()
        people = market(machine, settings, stack, stock)
        seller, indexer, *buyers = people
        stack.enter_context(over_and_over(seller.trade, stock.failures, 0.01))
        stack.enter_context(over_and_over(indexer.reindex, stock.failures, 0.5))
        for buyer in buyers:
            stack.enter_context(over_and_over(buyer.search, stock.failures, 0.01))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not stock.failures:
            time.sleep(min(1.0, SECONDS / 10))
            memory.append(private_mb())
    print(  # noqa: T201 - what a long run has seen
        f"{SECONDS:.0f} s: {stock.posted} posted, {len(stock.deleted)} deleted, "
        f"{stock.searches} searches, {stock.reindexes} reindexes; "
        f"memory {[round(value) for value in memory[:: max(1, len(memory) // 12)]]} MB"
    )
    assert not stock.failures
    assert stock.searches > 20
    assert stock.deleted
    assert stock.reindexes
    if SECONDS >= FLAT_AFTER_S:
        third = len(memory) // 3
        before, after = np.median(memory[third : 2 * third]), np.median(memory[2 * third :])
        assert after <= 1.05 * before, "memory is growing"


def market(machine: Machine, settings: Settings, stack: ExitStack, stock: Stock) -> list[Market]:
    headers = {"Authorization": f"Bearer {admin_key(settings)}"}
    return [
        Market(
            stack.enter_context(
                httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S, headers=headers)
            ),
            stock,
            seed,
        )
        for seed in range(2 + SEARCHERS)
    ]
