"""What events cost: how many a second are taken by HTTP, and how long they take to be read.

    python -m benchmarks.events URL [--listings 1000000] [--events 10000000] [--seconds 20]

An empty database is brought to the schema of this release and filled: listings with a title only,
and events of the last 180 days. Of those 60% are impressions, 30% views, 6% saves; users and
listings are drawn with many of few, as by a power law, and a third of the listings evenly. One more
user has 200 touches, and another 10,000. Then batches of as many events as `--batch` says are sent
by `--clients` connections to an API of its own, each event new.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from statistics import median, quantiles
from threading import local
from typing import Final
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from command_line.addresses import free_port
from db.events.history import listings_of_user, recent_touches
from db.events.popularity import most_popular, popularity_of, recount
from db.events.tables import KINDS, Event
from db.events.together import touched_together
from db.events.users import user_key
from db.schema_migration import upgrade
from db.session import Database
from db.statements import insert_rows, table_of
from db.tables import Listing
from models.domain.clock import utc_now
from models.domain.types import ListingStatus
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings

USERS: Final = 100_000
DAYS: Final = 180
SHARES: Final = {0: 0.01, 1: 0.6, 2: 0.3, 3: 0.06, 4: 0.02, 5: 0.01}
"""Of the kinds, by their codes."""
HEAVY: Final = {"user with 200": 200, "user with 10,000": 10_000}
AT_ONCE: Final = 100_000
READS: Final = 40

Numbers = NDArray[np.int64]


def drawn(rng: np.random.Generator, below: int, count: int, evenly: float) -> Numbers:
    """Numbers below this, most of them of few, a share of them evenly."""
    numbers = (rng.pareto(0.7, count) * 2_000).astype(np.int64) % below
    even = rng.random(count) < evenly
    numbers[even] = rng.integers(0, below, int(even.sum()))
    return numbers


def fill_listings(database: Database, count: int) -> None:
    """Listings with the numbers from 1 on."""
    now = utc_now()
    for first in range(1, count + 1, AT_ONCE):
        rows = [
            {
                "id": UUID(int=number),
                "number": number,
                "title": f"Thing {number}",
                "description": "",
                "price_suspect": False,
                "attributes": {},
                "status": ListingStatus.ACTIVE,
                "created_at": now,
                "updated_at": now,
            }
            for number in range(first, min(first + AT_ONCE, count + 1))
        ]
        with database.write() as session:
            insert_rows(session, Listing, rows)


def fill_events(database: Database, count: int, listings: int) -> None:
    """Events in the order of their times, and what is derived of them."""
    rng = np.random.default_rng(1)
    now = utc_now()
    with database.read() as session:
        keys = [os.urandom(16) for _ in range(USERS)]
        heavy = {user_key(session, name): many for name, many in HEAVY.items()}
    kinds = list(KINDS.values())
    indexes = table_of(Event).indexes
    with database.engine.begin() as connection:
        for index in indexes:
            index.drop(connection)

    step = timedelta(days=DAYS) / count

    def store(users: list[bytes], codes: Numbers, first: int) -> None:
        of = drawn(rng, listings, len(users), 0.3)
        rows = [
            {
                "event_key": os.urandom(16),
                "user_key": user,
                "listing_number": int(listing) + 1,
                "kind": KINDS[int(code)],
                "at": now - step * (count - first - nth),
                "search_id": None,
                "position": None,
            }
            for nth, (user, listing, code) in enumerate(zip(users, of, codes, strict=True))
        ]
        with database.write() as session:
            insert_rows(session, Event, rows)

    for first in range(0, count, AT_ONCE):
        many = min(AT_ONCE, count - first)
        users = [keys[one] for one in drawn(rng, USERS, many, 0.3)]
        codes = rng.choice(len(kinds), many, p=list(SHARES.values()))
        store(users, codes, first)
        say(f"{first + many:,} events")
    for user, many in heavy.items():
        store([user] * many, rng.integers(2, 4, many), count - many)
    with database.engine.begin() as connection:
        for index in indexes:
            index.create(connection)
    for first in range(1, listings + 1, AT_ONCE):
        with database.write() as session:
            recount(session, range(first, min(first + AT_ONCE, listings + 1)))


def bodies(count: int, listings: int) -> Iterator[bytes]:
    """Requests of so many new events each."""
    rng = np.random.default_rng()
    kinds = list(KINDS.values())
    while True:
        users, of = drawn(rng, USERS, count, 0.3), drawn(rng, listings, count, 0.3)
        codes = rng.choice(len(kinds), count, p=list(SHARES.values()))
        now = utc_now().isoformat()
        events = [
            {
                "event_id": str(uuid4()),
                "user": f"user-{user}",
                "type": kinds[code],
                "listing_id": str(UUID(int=int(listing) + 1)),
                "at": now,
            }
            for user, listing, code in zip(users, of, codes, strict=True)
        ]
        yield json.dumps({"events": events}).encode()


def send(port: int, requests: list[bytes], clients: int) -> tuple[float, list[float]]:
    """Send all; returns the seconds that took, and those of each request."""
    own = local()

    def one(body: bytes) -> float:
        if not hasattr(own, "connection"):
            own.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        began = time.perf_counter()
        own.connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        answer = own.connection.getresponse()
        told = json.loads(answer.read())
        if told.get("rejected") or not told.get("stored"):
            raise SystemExit(f"not stored: {told}")
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        each = list(pool.map(one, requests))
    return time.perf_counter() - began, each


def measure_storing(
    port: int, drawing: Iterator[bytes], size: int, options: argparse.Namespace
) -> None:
    """The events that are taken in a second, and how long a batch takes."""
    seconds, _ = send(port, [next(drawing) for _ in range(3)], 1)
    many = max(20, int(options.seconds / seconds * 3))
    seconds, each = send(port, [next(drawing) for _ in range(many)], options.clients)
    slow = quantiles(each, n=20)[-1]
    say(
        f"batches of {size:,}: {size * many / seconds:,.0f} events/s, a batch p50 "
        f"{median(each) * 1_000:.0f} ms, p95 {slow * 1_000:.0f} ms"
    )


def measure_reads(database: Database, name: str, many: int) -> None:
    """The milliseconds of each thing that a recommendation for this user reads."""
    now = utc_now()
    dice = random.Random(1)
    with database.read() as session:
        user = user_key(session, name)
        touched = [event.listing_number for event in recent_touches(session, user, 200)]
        calls: dict[str, Callable[[], object]] = {
            "newest 200 touches": lambda: recent_touches(session, user, 200),
            "listings of the user": lambda: listings_of_user(session, user),
            "together with 20": lambda: touched_together(
                session, dice.sample(touched, 20), 200, user
            ),
            "200 most popular": lambda: most_popular(session, 200, now),
            "popularity of 1,000": lambda: popularity_of(session, range(1, 1_001), now),
        }
        for what, call in calls.items():
            call()
            spent = []
            for _ in range(READS):
                began = time.perf_counter()
                call()
                spent.append((time.perf_counter() - began) * 1_000)
            slow = quantiles(spent, n=20)[-1]
            say(f"{many:>7,} touches, {what}: p50 {median(spent):.1f} ms, p95 {slow:.1f} ms")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def main() -> None:
    """Fill what is empty, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--listings", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--batch", type=int, nargs="+", default=[100, 1_000])
    parser.add_argument("--clients", type=int, default=2)
    options = parser.parse_args()
    upgrade(options.url)
    database = Database(options.url)
    with database.read() as session:
        is_empty = session.scalar(select(func.max(Event.number))) is None
    if is_empty:
        fill_listings(database, options.listings)
        fill_events(database, options.events, options.listings)
    with database.read() as session:
        listings = session.scalar(select(func.max(Listing.number))) or 0
        say(f"{session.scalar(select(func.max(Event.number))):,} events of {listings:,} listings")
    for name, many in HEAVY.items():
        measure_reads(database, name, many)
    port = free_port("127.0.0.1", 0)
    with tempfile.TemporaryDirectory() as folder:
        nobody = f"redis+socket://{folder}/nobody.sock"
        here = Settings(data_dir=folder, database_url=options.url, redis_url=nobody)
        command = marketlens_command("api", "--port", str(port))
        with subprocess.Popen(command, env=child_environment(here)) as api:
            try:
                wait_for(port)
                for size in options.batch:
                    measure_storing(port, bodies(size, listings), size, options)
            finally:
                api.terminate()
    database.close()


def wait_for(port: int) -> None:
    """Until the API answers."""
    while True:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
