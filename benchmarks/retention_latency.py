"""Whether retention is noticed by those who write and read meanwhile.

    python -m benchmarks.retention_latency [URL] [--jobs 100000] [--rounds 6] [--seconds 10]

A database has so many jobs that have had their time, with results of 5 kB. Rounds with and without
retention, at the pace of the relay, alternate; in each a thread accepts a job every 20 ms, another
reads one. Printed are the median and the 95th percentile of both, in milliseconds.
"""

import argparse
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from threading import Event as Stop
from threading import Thread
from time import perf_counter, sleep
from typing import Final
from uuid import UUID, uuid4

from db.jobs import accepting, reading
from db.schema_migration import upgrade
from db.session import Database
from db.statements import insert_rows
from db.tables import Job
from models.domain.job_payloads import SearchPayload
from models.domain.types import JobStatus, JobType
from workers.retention.policy import RetentionPolicy
from workers.retention.steps import Pace, remove_jobs

EVERY_S: Final = 0.02
RESULT: Final = {
    "results": [{"listing_id": str(UUID(int=n)), "title": "x" * 200} for n in range(20)]
}
PAYLOAD: Final = SearchPayload(positive=("0" * 64,), limit=20)


def fill(database: Database, jobs: int, now: datetime) -> None:
    """Jobs that ended long ago."""
    for start in range(0, jobs, 2_000):
        rows = [
            {
                "id": UUID(int=start + n + 1),
                "type": JobType.SEARCH,
                "status": JobStatus.SUCCEEDED,
                "payload": PAYLOAD.to_json(),
                "result": RESULT,
                "created_at": now - timedelta(days=60) + timedelta(seconds=start + n),
                "publish_after": now,
                "finished_at": now - timedelta(days=60),
                **dict.fromkeys(
                    ("total", "done", "failed", "attempt", "attempts_before", "published"), 0
                ),
            }
            for n in range(min(2_000, jobs - start))
        ]
        with database.write() as session:
            insert_rows(session, Job, rows)


def timed(work: Callable[[], None], until: float) -> list[float]:
    """The milliseconds that each call took."""
    took = []
    while (began := perf_counter()) < until:
        work()
        took.append(1_000 * (perf_counter() - began))
        sleep(EVERY_S)
    return took


def one_round(database: Database, seconds: float, *, retains: bool) -> dict[str, list[float]]:
    """What accepting and reading took, and how many jobs left meanwhile."""
    stop = Stop()
    removed: list[float] = []
    pace = Pace(database, lambda: datetime.now(UTC), stop, on_removed=removed.append)
    retention = Thread(target=remove_jobs, args=(pace, RetentionPolicy()))
    if retains:
        retention.start()
    last = uuid4()

    def accept() -> None:
        with database.write() as session:
            accepting.accept(session, PAYLOAD, job_id=uuid4(), now=datetime.now(UTC))

    def read() -> None:
        with database.read() as session:
            reading.among(session, [last])

    until = perf_counter() + seconds
    reads: list[float] = []
    reader = Thread(target=lambda: reads.extend(timed(read, until)))
    reader.start()
    accepts = timed(accept, until)
    reader.join()
    stop.set()
    if retains:
        retention.join()
    return {"accept": accepts, "read": reads, "removed": removed}


def main() -> None:
    """Measure as the options say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", nargs="?")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'marketlens.db'}"
        upgrade(url)
        database = Database(url)
        fill(database, options.jobs, datetime.now(UTC))
        print("| round | retention | accept p50 | accept p95 | read p50 | read p95 | jobs left |")
        print("|---:|---|---:|---:|---:|---:|---:|")
        for number in range(2 * options.rounds):
            retains = number % 2 == 1
            found = one_round(database, options.seconds, retains=retains)
            figures = [
                figure
                for name in ("accept", "read")
                for figure in (median(found[name]), quantiles(found[name], n=20)[-1])
            ]
            cells = " | ".join(f"{figure:.1f}" for figure in figures)
            gone = int(sum(found["removed"]))
            print(f"| {number // 2 + 1} | {'on' if retains else 'off'} | {cells} | {gone:,} |")
        database.close()


if __name__ == "__main__":
    main()
