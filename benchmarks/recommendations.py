"""How long recommendations take at a million listings and ten million events.

    python -m benchmarks.recommendations fill --database-url URL --data-dir DIR [--events N]
    python -m benchmarks.recommendations measure --database-url URL --data-dir DIR [--repeats N]

`fill` takes a database that `benchmarks.catalogue_at_scale` has filled, with or without embeddings.
It adds what is missing: the schema of this release; an embedding of each photo, near one of the
centres of `KINDS` kinds of things; events of 180 days, of users who have a few interests each, the
listings of a kind being chosen by Zipf's law; what is counted of them; and a generation of the
index in the data folder. It may be killed and started again: what is there is kept.

`measure` answers recommendations as a search worker does, one after the other on one thread, and
prints milliseconds by the clock (the median, and 95%), the parts of the median, and the memory of
its own that the process has before and after.
"""

import argparse
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Connection, func, select
from threadpoolctl import threadpool_limits

from benchmarks.catalogue_at_scale import END
from db.events.popularity import recount
from db.events.tables import KIND_CODES, Event, ListingPopularity, milliseconds_of
from db.events.users import user_keys
from db.jobs.accepting import accept
from db.jobs.claiming import Claim, claim
from db.schema_migration import upgrade
from db.session import Database
from db.statements import insert_rows, table_of
from db.store.photo_store import PhotoStore
from db.tables import Embedding, Encoder, Generation, Listing
from models.domain.clock import utc_now
from models.domain.filters import ListingFilter
from models.domain.job_payloads import RecommendationPayload, ReindexPayload
from models.domain.job_results.recommendations import RecommendationResult
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import DEFAULT_WEIGHTS
from models.domain.searches.options import Ranking
from models.domain.types import EncoderSpec, EncoderStatus, GenerationStatus, JobType
from models.encoders.encoder import FeatureMap
from models.index.faiss_index import set_threads
from workers.config import IndexSettings
from workers.indexes.live import LiveIndex
from workers.indexes.live_columns import LiveColumns
from workers.jobs.queries import QueryTools, answer_queries
from workers.jobs.reindex import run_reindex
from workers.recommending.whitenings import Whitenings
from workers.search.active_engine import SearchEngine

KINDS: Final = 2_000
USERS: Final = 100_000
INTERESTS: Final = 4
DAYS: Final = 180
MS_A_DAY: Final = 86_400_000
STRAY: Final = 0.1
"""The share of events that are about any kind of thing."""
BATCH: Final = 5_000
EVENTS_AT_ONCE: Final = 200_000
HEAVY, USUAL = "heavy", "usual"
HEAVY_EVENTS, USUAL_EVENTS, USUAL_USERS = 10_000, 200, 20
SHARES: Final = {
    EventKind.IMPRESSION: 0.60,
    EventKind.VIEWED: 0.32,
    EventKind.SAVED: 0.05,
    EventKind.CONTACTED: 0.02,
    EventKind.PURCHASED: 0.005,
    EventKind.HIDDEN: 0.005,
}

Rows = NDArray[np.float32]


def fill(url: str, data_dir: Path, dimension: int, events: int) -> None:
    """Add what is missing."""
    upgrade(url)
    database = Database(url)
    for step in (
        partial(embed, database, dimension),
        partial(act, database, events),
        partial(count, database),
        partial(index, database, data_dir),
    ):
        began = time.monotonic()
        step()
        print(f"{step.func.__name__}: {time.monotonic() - began:,.0f} s", flush=True)
    database.close()


def kinds_of(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The kind of each listing, by its number: all kinds have about as many."""
    kinds: NDArray[np.int64] = (numbers * 2_654_435_761 >> 7) % KINDS
    return kinds


def embed(database: Database, dimension: int) -> None:
    """Give every photo that has none an embedding; it has the number of its listing."""
    with database.write() as session:
        encoder = session.scalar(select(Encoder.id).limit(1))
        if encoder is None:
            stated = {
                "name": "drawn",
                "fingerprint": "0" * 64,
                "dimension": dimension,
                "status": EncoderStatus.ACTIVE,
                "created_at": END,
                "activated_at": END,
            }
            insert_rows(session, Encoder, [stated])
            encoder = session.scalars(select(Encoder.id)).one()
        listings = session.scalar(select(func.max(Listing.number))) or 0
        done = session.scalar(select(func.max(Embedding.photo_id))) or 0
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((KINDS, dimension), np.float32)
    for first in range(done, listings, BATCH):
        numbers = np.arange(first + 1, min(first + BATCH, listings) + 1)
        noise = np.random.default_rng(first).standard_normal((len(numbers), dimension), np.float32)
        vectors = centres[kinds_of(numbers)] + noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = [
            {"encoder_id": encoder, "photo_id": number, "vector": vector.astype("<f2").tobytes()}
            for number, vector in zip(numbers.tolist(), vectors, strict=True)
        ]
        with database.write() as session:
            insert_rows(session, Embedding, rows)


def act(database: Database, events: int) -> None:
    """Draw the events, unless there are some; indexes are made after them."""
    with database.read() as session:
        if session.scalar(select(Event.number).limit(1)) is not None:
            return
        listings = session.scalar(select(func.max(Listing.number))) or 0
    table = table_of(Event)
    with database.engine.begin() as connection:
        for one in table.indexes:
            one.drop(connection, checkfirst=True)
    rng = np.random.default_rng(1)
    numbers = np.arange(1, listings + 1)
    order = np.argsort(kinds_of(numbers), kind="stable")
    of_kind = np.split(numbers[order], np.searchsorted(kinds_of(numbers)[order], range(1, KINDS)))
    with database.read() as session:
        names = [HEAVY, *(f"{USUAL} {n}" for n in range(USUAL_USERS))]
        names += [f"user {n}" for n in range(USERS - len(names))]
        keys = user_keys(session, names)
    wanted = rng.integers(0, KINDS, (len(names), INTERESTS))
    stored = [KIND_CODES[kind] for kind in SHARES]
    done = 0
    for users in _batched(_users(events, rng), EVENTS_AT_ONCE):
        who = np.array(users)
        kinds = wanted[who, rng.integers(0, INTERESTS, len(who))]
        kinds = np.where(rng.random(len(who)) < STRAY, rng.integers(0, KINDS, len(who)), kinds)
        ranks = rng.random(len(who)) ** 3
        codes = rng.choice(len(SHARES), len(who), p=list(SHARES.values()))
        chosen = [
            int(of_kind[kind][int(rank * len(of_kind[kind]))])
            for kind, rank in zip(kinds.tolist(), ranks.tolist(), strict=True)
        ]
        shares = (done + np.arange(len(who))) / events
        ages = (milliseconds_of(END) - DAYS * MS_A_DAY * (1 - shares)).astype(np.int64)
        rows = list(
            zip(
                ((done + n).to_bytes(16, "big") for n in range(len(who))),
                (keys[user] for user in who.tolist()),
                chosen,
                (stored[code] for code in codes.tolist()),
                ages.tolist(),
                strict=True,
            )
        )
        with database.engine.begin() as connection:
            write_events(connection, rows)
        done += len(rows)
        print(f"{done:,} events", flush=True)
    with database.engine.begin() as connection:
        for one in table.indexes:
            one.create(connection)
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE")


EventRow = tuple[bytes, bytes, int, int, int]
"""The key of an event, that of its user, the number of its listing, its kind and time."""


def write_events(connection: Connection, rows: list[EventRow]) -> None:
    """Insert rows by the driver itself: ten million are too many for anything above it."""
    columns = "event_key, user_key, listing_number, kind, at"
    if connection.dialect.name == "sqlite":
        statement = f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608 - constant
        connection.exec_driver_sql(statement, rows)
        return
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY events ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _batched(items: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _users(events: int, rng: np.random.Generator) -> Iterator[int]:
    """The user of each event, in order of time: few of them do much."""
    fixed = [0] * HEAVY_EVENTS + [1 + n for n in range(USUAL_USERS) for _ in range(USUAL_EVENTS)]
    places = set(rng.choice(events, len(fixed), replace=False).tolist())
    known = iter(rng.permutation(fixed).tolist())
    others = USERS - 1 - USUAL_USERS
    for first in range(0, events, EVENTS_AT_ONCE):
        drawn = (rng.random(EVENTS_AT_ONCE) ** 2 * others).astype(np.int64) + 1 + USUAL_USERS
        for n, user in enumerate(drawn[: events - first].tolist(), start=first):
            yield next(known) if n in places else user


def count(database: Database) -> None:
    """Count what is derived of the events, unless it is counted."""
    with database.read() as session:
        listings = session.scalar(select(func.max(Listing.number))) or 0
        done = session.scalar(select(func.max(ListingPopularity.listing_number))) or 0
    for numbers in _batched(range(done + 1, listings + 1), BATCH):
        with database.write() as session:
            recount(session, numbers)


def index(database: Database, data_dir: Path) -> None:
    """Build a generation, unless one is live."""
    with database.write() as session:
        is_live = Generation.status == GenerationStatus.LIVE
        if session.scalar(select(Generation.id).where(is_live)) is not None:
            return
        job = accept(session, ReindexPayload(), job_id=uuid4(), now=utc_now())
    with database.write() as session:
        claimed = claim(session, job.id, utc_now(), timedelta(days=1))
    if claimed is None:
        raise SystemExit("Another reindex is open.")
    run_reindex(
        claimed,
        ReindexPayload(),
        database=database,
        store=PhotoStore(str(data_dir / "photos")),
        settings=IndexSettings(generations(data_dir), 0.9, 4 * 2**30, keep=1),
        heartbeat=lambda *_: None,  # type: ignore[arg-type] # nobody else waits for it
        clock=utc_now,
    )


def generations(data_dir: Path) -> Path:
    """Where generations are."""
    return data_dir / "generations"


@dataclass
class NoEncoder:
    """An encoder that embeds nothing: recommendations are made of stored vectors."""

    spec: EncoderSpec
    runtime = "none"

    def load(self) -> None:
        """Nothing to load."""

    def embed(self, photos: Sequence[Image.Image]) -> Rows:
        """Refuse to: no answer measured here may wait for an encoder."""
        del photos
        raise AssertionError("recommendations are made of stored vectors")

    def feature_map(self, photo: Image.Image) -> FeatureMap:
        """Refuse to, as `embed`."""
        del photo
        raise AssertionError("recommendations are made of stored vectors")


class Worker:
    """What a search worker answers recommendations with."""

    def __init__(self, url: str, data_dir: Path) -> None:
        self.database = Database(url)
        with self.database.read() as session:
            encoder = session.scalars(select(Encoder).limit(1)).one()
            spec, encoder_id = encoder.spec, encoder.id
        live = LiveIndex(spec, encoder_id, generations(data_dir))
        self._engine = SearchEngine(encoder_id, NoEncoder(spec), live, batch=1)
        with self.database.read() as session:
            live.sync(session)
        columns = LiveColumns(self.database, data_dir / "columns" / "listings.safetensors")
        columns.begin()
        columns.wait()
        self._tools = QueryTools(
            self.database,
            PhotoStore(str(data_dir / "photos")),
            data_dir / "models",
            utc_now,
            columns,
            Whitenings(self.database),
        )

    def ask(self, **stated: object) -> RecommendationResult:
        """The answer to a recommendation as of the end of the events."""
        payload = RecommendationPayload.model_validate(
            {"rank": Ranking(DEFAULT_WEIGHTS, half_days=14.0), "limit": 20, **stated}
        )
        asked = Claim(uuid4(), JobType.RECOMMENDATION, 1, 1, payload.to_json(), END)
        ((_, answer),) = answer_queries([asked], self._engine, self._tools).answers
        if not isinstance(answer, RecommendationResult):
            raise SystemExit(f"No answer: {answer}")
        return answer


def measure(url: str, data_dir: Path, repeats: int) -> None:
    """Print how long each kind of recommendation takes."""
    # As search workers have it.
    set_threads(1)
    threadpool_limits(1, user_api="blas")
    worker = Worker(url, data_dir)
    print(f"memory of its own before: {own_mib():,.0f} MiB")
    with worker.database.read() as session:
        heavy, *usual = user_keys(session, [HEAVY, *(f"{USUAL} {n}" for n in range(USUAL_USERS))])
        numbers = [1_000 * n + 1 for n in range(20)]
        pages = list(session.scalars(select(Listing.id).where(Listing.number.in_(numbers))))
        category = "Root 1"
    kinds: dict[str, list[dict[str, object]]] = {
        "for anybody": [{}],
        "200 events": [{"user": key.hex()} for key in usual],
        "10,000 events": [{"user": heavy.hex()}],
        "200 events, filtered": [
            {"user": key.hex(), "filter": ListingFilter(category=category)} for key in usual
        ],
        "200 events, an item page": [
            {"user": key.hex(), "listing_id": page}
            for key, page in zip(usual, _cycled(pages, len(usual)), strict=True)
        ],
        "200 events, differing": [
            {"user": key.hex(), "diversity": {"strength": 0.2}} for key in usual
        ],
    }
    for name, asked in kinds.items():
        for one in asked:
            worker.ask(**one)
        took = [_timed(worker, asked[n % len(asked)]) for n in range(repeats)]
        totals = [total for total, _ in took]
        laps = {part: median(parts[part] for _, parts in took) for part in took[0][1]}
        shown = ", ".join(f"{part} {ms:.1f}" for part, ms in laps.items() if part in PARTS)
        print(
            f"{name:26} {median(totals):6.1f} ms (95%: {np.percentile(totals, 95):.1f}): {shown}",
            flush=True,
        )
    print(f"memory of its own after: {own_mib():,.0f} MiB")


PARTS: Final = ("sync", "history", "recommend", "search")


def own_mib() -> float:
    """Without the pages of mapped files, which are the page cache's."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    (kibibytes,) = re.findall(r"^Anonymous: +(\d+) kB$", rollup, re.MULTILINE)
    return int(kibibytes) / 2**10


def _cycled(pages: Sequence[UUID], length: int) -> list[UUID]:
    return [pages[n % len(pages)] for n in range(length)]


def _timed(worker: Worker, asked: dict[str, object]) -> tuple[float, dict[str, float]]:
    began = time.perf_counter()
    answer = worker.ask(**asked)
    return (time.perf_counter() - began) * 1e3, answer.took_ms


def main() -> None:
    """Fill, or measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["fill", "measure"])
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--dimension", type=int, default=1_280)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=60)
    options = parser.parse_args()
    if options.step == "fill":
        fill(options.database_url, options.data_dir, options.dimension, options.events)
    else:
        measure(options.database_url, options.data_dir, options.repeats)


if __name__ == "__main__":
    main()
