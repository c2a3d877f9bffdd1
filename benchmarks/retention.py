"""What retention leaves of a deployment that is always used: rows and bytes, day by day.

    python -m benchmarks.retention [URL] [--days 120] [--searches 400] [--without]

A deployment is used for so many days by a clock that is moved: each day has searches with photos of
their own, new listings, changed and deleted ones, events, keys of requests, embeddings and a build
of the index. After each day retention runs, unless it is left out with `--without`. All periods are
their defaults but that of events, 60 days, so that it ends within the days. A table of every tenth
day, and the growth over the last sixth in per cent, is printed.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Event as Stop
from time import perf_counter
from typing import Final
from uuid import UUID

import numpy as np
from sqlalchemy import func, select, text, update

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.events.store import NewEvent, store_events
from db.events.tables import Event
from db.idempotency import Answer, KeyedRequest, claim_key, complete_claim
from db.jobs import accepting
from db.retention.erasures import ErasureKind
from db.schema_migration import upgrade
from db.session import Database
from db.statements import is_postgresql
from db.store.photo_store import PREFIXES, PhotoStore
from db.tables import (
    Change,
    Embedding,
    Generation,
    IdempotencyKey,
    Job,
    Listing,
    ListingChange,
    Photo,
    TextWord,
)
from db.vectors import generations
from db.vectors.changes import last_change
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.job_payloads import SearchPayload
from models.domain.recommendations.events import EventKind
from models.domain.types import EncoderSpec, JobStatus
from workers.retention.erasing import Places
from workers.retention.policy import RetentionPolicy
from workers.retention.run import DAY_S, EVERY_S, Retention
from workers.retention.steps import Pace

DIMENSION: Final = 256
PHOTO_BYTES: Final = 2_000
RESULTS: Final = 20
COUNTED: Final = {
    "jobs": Job,
    "listings": Listing,
    "photos": Photo,
    "vectors": Embedding,
    "events": Event,
    "changes": Change,
    "listing changes": ListingChange,
    "keys": IdempotencyKey,
    "words": TextWord,
    "generations": Generation,
}
_SIZE: Final = "SELECT pg_database_size(current_database())"
WORDS: Final = ["lamp", "table", "chair", "brass", "oak", "green", "old", "small", "heavy", "round"]


@dataclass(frozen=True, slots=True)
class Daily:
    """What happens on each day."""

    searches: int = 400
    listings: int = 60
    changed: int = 40
    events: int = 1_000
    listed_days: int = 30


class Simulation:
    """A deployment in a folder, used by a clock that is moved day by day."""

    def __init__(
        self, database: Database, folder: Path, policy: RetentionPolicy, daily: Daily
    ) -> None:
        self.database, self.folder, self.daily = database, folder, daily
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.day = 0
        self.random = Random(0)
        self.listed: list[list[UUID]] = []
        self.store = PhotoStore(folder / "photos")
        places = Places(self.store, folder / "generations", folder / "columns")
        self.retention = Retention.of(
            Pace(database, lambda: self.now, Stop(), rest_s=0.0), places, policy
        )
        with database.write() as session:
            spec = EncoderSpec("hog", DIMENSION, "f" * 64)
            self.encoder_id = activate_initial_encoder(session, spec, self.now).id

    def live(self) -> None:
        """A day of use."""
        self.day += 1
        self.now += timedelta(days=1)
        self._list()
        self._search()
        self._tell()
        if self.day % 2 == 0:
            self._build()

    def retain(self, *, read_all: bool = True) -> None:
        """What retention does in a day; unless `read_all`, not what is done once in a day."""
        for kind, every in EVERY_S.items():
            if read_all or every < DAY_S:
                self.retention.remove(kind)
        if read_all:
            self.retention.finish(tuple(ErasureKind), clean=True)

    def measured(self) -> dict[str, int]:
        """Rows of each table, files and bytes of the store, bytes of the database."""
        with self.database.read() as session:
            rows = {
                name: session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in COUNTED.items()
            }
            on_server = is_postgresql(session)
            size = session.scalar(text(_SIZE)) if on_server else 0
        if not on_server:
            size = sum(path.stat().st_size for path in self.folder.glob("*.db*"))
        files = sum(len(self.store.digests_with(prefix)) for prefix in PREFIXES)
        return rows | {"photo files": files, "database bytes": int(size or 0)}

    def _put(self) -> str:
        digest = self.store.put(self.random.randbytes(PHOTO_BYTES))
        path = self.folder / "photos" / digest[:2] / digest[2:4] / f"{digest}.jpg"
        os.utime(path, (self.now.timestamp(), self.now.timestamp()))
        return digest

    def _list(self) -> None:
        ids = [UUID(int=self.random.getrandbits(128)) for _ in range(self.daily.listings)]
        self.listed.append(ids)
        before = [one for some in self.listed[:-1] for one in some]
        again = self.random.sample(before, min(self.daily.changed, len(before)))
        vector = np.full(DIMENSION, DIMENSION**-0.5, np.float32)
        with self.database.write() as session:
            data = [
                ListingData(one, f"{' '.join(self.random.sample(WORDS, 4))} {self.random.random()}")
                for one in [*ids, *again]
            ]
            upsert_listings(session, data, self.now)
            photos = {one: PhotoData(self._put(), 3, 4) for one in [*ids, *again[::2]]}
            known = ensure_photos(session, list(photos.values()), self.now)
            set_photos(session, {one: [known[photo.sha256]] for one, photo in photos.items()})
            add_embeddings(session, self.encoder_id, dict.fromkeys(known.values(), vector))
            if len(self.listed) > self.daily.listed_days:
                delete_listings(session, self.listed.pop(0), self.now)

    def _search(self) -> None:
        shown = [one for some in self.listed for one in some]
        with self.database.write() as session:
            for number in range(self.daily.searches):
                job_id = UUID(int=self.random.getrandbits(128))
                payload = SearchPayload(positive=(self._put(),), limit=RESULTS)
                accepting.accept(session, payload, job_id=job_id, now=self.now)
                results = [
                    {"listing_id": str(one), "title": "a thing", "similarity": 0.5}
                    for one in self.random.sample(shown, min(RESULTS, len(shown)))
                ]
                session.execute(
                    update(Job)
                    .where(Job.id == job_id)
                    .values(
                        status=JobStatus.SUCCEEDED,
                        finished_at=self.now,
                        result={"results": results},
                    )
                )
                if number % 4 == 0:
                    request = KeyedRequest("", str(job_id), "f" * 64)
                    claim = claim_key(session, request, job_id, self.now)
                    if claim is not None:
                        complete_claim(session, claim, Answer(202, job_id=job_id), self.now)

    def _tell(self) -> None:
        shown = [one for some in self.listed for one in some]
        kinds = list(EventKind)
        events = [
            NewEvent(
                f"{self.day} {number}",
                f"user {self.random.randrange(200)}",
                kinds[min(len(kinds) - 1, int(self.random.expovariate(0.8)))],
                self.random.choice(shown),
                self.now,
            )
            for number in range(self.daily.events)
        ]
        with self.database.write() as session:
            store_events(session, events, self.now)

    def _build(self) -> None:
        with self.database.write() as session:
            contained = last_change(session)
            built = generations.begin(session, self.encoder_id, None, self.now)  # type: ignore[arg-type]
        folder = self.folder / "generations" / str(built.id)
        folder.mkdir(parents=True)
        (folder / "vectors.f16").write_bytes(bytes(1_000))
        with self.database.write() as session:
            generations.activate(session, built.id, self.now, last_change=contained)


def growth(days: list[dict[str, int]], name: str) -> float:
    """By how much the last sixth is above the sixth before it, in per cent."""
    sixth = max(1, len(days) // 6)
    late = [day[name] for day in days[-sixth:]]
    before = [day[name] for day in days[-2 * sixth : -sixth]]
    return 100 * (max(late) / max(1, *before) - 1)


def run(simulation: Simulation, days: int, *, retains: bool, say: Callable[[str], None]) -> None:
    """Use a deployment for so many days, and print what is there."""
    measured: list[dict[str, int]] = []
    took = 0.0
    for _ in range(days):
        simulation.live()
        began = perf_counter()
        if retains:
            simulation.retain()
        took += perf_counter() - began
        measured.append(simulation.measured())
        print(simulation.day, measured[-1], file=sys.stderr)
    names = list(measured[0])
    say("| day | " + " | ".join(names) + " |")
    say("|---:|" + "---:|" * len(names))
    for day in range(9, days, 10):
        say(f"| {day + 1} | " + " | ".join(f"{measured[day][name]:,}" for name in names) + " |")
    say("| growth, % | " + " | ".join(f"{growth(measured, name):.1f}" for name in names) + " |")
    say(f"\nRetention took {took / days:.2f} s a day.")


def main() -> None:
    """Simulate as the options say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", nargs="?")
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--searches", type=int, default=Daily().searches)
    parser.add_argument("--without", action="store_true", help="Leave retention out.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/marketlens.db"
        upgrade(url)
        database = Database(url)
        policy = RetentionPolicy(events=timedelta(days=60))
        daily = Daily(searches=options.searches)
        simulation = Simulation(database, Path(folder), policy, daily)
        run(simulation, options.days, retains=not options.without, say=print)
        database.close()


if __name__ == "__main__":
    main()
