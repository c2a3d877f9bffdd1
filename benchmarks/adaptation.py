"""How long it takes to adapt a large catalogue to its categories, and how much memory.

    python -m benchmarks.adaptation --rows 1000000 [--dimension 1280] [--json]

Draws a catalogue with two photos a listing (see `benchmarks.features`) straight into a SQLite
database, with the stored vectors of a made-up encoder and their index, and changes over to what is
learned from them, as the adapt job of a worker does, while another process searches. There are no
photos: one that was read would fail. Memory is of this process, which also builds the index.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep, time
from typing import Annotated, Final
from uuid import UUID, uuid4

import numpy as np
import typer
from rich.console import Console
from sqlalchemy import insert

from benchmarks.background_searches import Search, milliseconds, searches_going_on
from benchmarks.features import CATEGORIES, PHOTOS_PER_ITEM, DrawnFeatures
from benchmarks.memory import Peak
from db.catalogue.categories import ensure_categories
from db.jobs.counting import Progress
from db.schema_migration import upgrade
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Embedding, Listing, ListingPhoto, Photo
from db.vectors.encoders import activate_initial_encoder
from models.domain.clock import utc_now
from models.domain.errors import SetupError
from models.domain.types import EncoderSpec, ListingStatus
from models.vectors import to_stored
from progress import Bars
from settings import Settings
from workers.config import worker_config
from workers.encoders.adapting import adapt_encoder
from workers.encoders.derivation import derivation_of
from workers.encoders.migration import Migration, activate_migrated
from workers.generations.request import accept_reindex
from workers.inline import inline_worker
from workers.queue.executors import InlineExecutor, run_to_end
from workers.queue.messages import Queue

SEED: Final = 0
ROWS_AT_ONCE: Final = 10_000
ALONE_S: Final = 15
"""Seconds of searches before and after, for comparison."""


def main(
    *,
    rows: Annotated[int, typer.Option(min=1_000, help="Photos in the catalogue.")] = 1_000_000,
    dimension: Annotated[int, typer.Option(help="Numbers of a vector of the base.")] = 1_280,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Draw, learn, change over; print the seconds of each, and the most memory."""
    with TemporaryDirectory() as folder, Bars(Console(stderr=True)) as bars:
        settings = Settings(data_dir=Path(folder), encoder="hog", auto_optimise=False)
        database = _draw(settings, rows, dimension, bars)
        figures: dict[str, object] = {"photos": rows, "dimension": dimension}
        figures["base_index_s"] = _index(database, settings, bars)
        searches: list[Search]
        with searches_going_on(
            settings.sqlalchemy_url, settings.photo_store_url, settings.generations_dir, rows
        ) as searches:
            sleep(ALONE_S)
            begun = time()
            with Peak() as peak:
                figures |= _adapt(database, settings, bars)
            ended = time()
            sleep(ALONE_S)
        figures["peak_gb"] = round(peak.resident / 1e9, 2)
        figures |= _of_searches(searches, begun, ended)
        database.close()
    for name, value in figures.items():
        print(f"{name:<20}{value}", file=sys.stderr)
    if as_json:
        typer.echo(json.dumps(figures))


def _draw(settings: Settings, rows: int, dimension: int, bars: Bars) -> Database:
    """A database with listings, photos and vectors, and nothing else."""
    upgrade(settings.sqlalchemy_url)
    database = Database(settings.sqlalchemy_url)
    spec = EncoderSpec("drawn", dimension, "0" * 64)
    now = utc_now()
    with database.write() as session:
        encoder_id = activate_initial_encoder(session, spec, now).id
        paths = [f"Kind {number:03}" for number in range(CATEGORIES)]
        category_ids = list(ensure_categories(session, paths).values())
    world, rng = DrawnFeatures(SEED, dimension), np.random.default_rng(SEED)
    for start in range(0, rows, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, rows - start) // PHOTOS_PER_ITEM
        categories = world.categories(count, rng)
        shown = np.repeat(world.items_of(categories, rng), PHOTOS_PER_ITEM, axis=0)
        stored = to_stored(world.photos(shown, rng))
        listings = [UUID(int=start + number + 1) for number in range(count)]
        photo_ids = range(start + 1, start + len(stored) + 1)
        with database.write() as session:
            session.execute(
                insert(Listing),
                [
                    {
                        "id": listing,
                        "title": "A thing",
                        "description": "",
                        "category_id": category_ids[category],
                        "status": ListingStatus.ACTIVE,
                        "created_at": now,
                        "updated_at": now,
                    }
                    for listing, category in zip(listings, categories, strict=True)
                ],
            )
            session.execute(
                insert(Photo),
                [
                    {"id": id_, "sha256": f"{id_:064x}", "width": 3, "height": 4, "created_at": now}
                    for id_ in photo_ids
                ],
            )
            session.execute(
                insert(ListingPhoto),
                [
                    {
                        "listing_id": listings[row // PHOTOS_PER_ITEM],
                        "photo_id": id_,
                        "position": row % PHOTOS_PER_ITEM,
                    }
                    for row, id_ in enumerate(photo_ids)
                ],
            )
            session.execute(
                insert(Embedding),
                [
                    {"encoder_id": encoder_id, "photo_id": id_, "vector": vector.tobytes()}
                    for id_, vector in zip(photo_ids, stored, strict=True)
                ],
            )
        bars.show("drawing", start + len(stored), rows)
    return database


def _index(database: Database, settings: Settings, bars: Bars) -> float:
    """Build the index that searches begin with; the seconds it took."""
    config = worker_config(settings, Queue.INDEX)
    job = accept_reindex(database, job_id=uuid4(), now=utc_now())
    seconds: dict[str, float] = {}

    def on_progress(progress: Progress) -> None:
        bars.show("base index", progress.done, max(progress.total, 1))

    with (
        _timed(seconds, "index"),
        InlineExecutor(database, lambda _: inline_worker(config), utc_now) as executor,
    ):
        run_to_end(executor, database, Queue.INDEX, [job.id], on_progress)
    return round(seconds["index"], 1)


def _of_searches(searches: list[Search], begun: float, ended: float) -> dict[str, object]:
    """How searches fared before, during and after the change."""
    parts = {
        "before": [search for search in searches if search.at < begun],
        "meanwhile": [search for search in searches if begun <= search.at < ended],
        "after": [search for search in searches if search.at >= ended],
    }
    return {
        f"searches_{name}": {
            "number": len(some),
            "ms": milliseconds(some),
            "found_first": round(sum(search.found for search in some) / len(some), 4),
            "encoders": sorted({search.encoder_id for search in some}),
        }
        for name, some in parts.items()
        if some
    }


def _adapt(database: Database, settings: Settings, bars: Bars) -> dict[str, object]:
    config = worker_config(settings, Queue.INDEX)
    library = config.library
    seconds: dict[str, float] = {}
    with _timed(seconds, "learning_s"):
        adapted = adapt_encoder(
            database,
            PhotoStore(settings.photo_store_url),
            library,
            on_progress=bars.show,
            force=True,
        )
    if adapted.package is None:
        raise SetupError("Nothing was learned, although it was forced.")
    spec = adapted.package.spec
    with (
        _timed(seconds, "change_over_s"),
        InlineExecutor(database, lambda _: inline_worker(config), utc_now) as executor,
    ):
        migration = Migration(
            database, executor, clock=utc_now, new_id=uuid4, on_progress=bars.show
        )
        migrated = migration.run(spec, derivation_of(library, spec))
        activate_migrated(database, migrated, utc_now(), force=True)
    gain = adapted.trial.comparison.metrics["map"].to_first[0]
    return {
        **{name: round(value, 1) for name, value in seconds.items()},
        "embedded": migrated.embedded,
        "failed": migrated.failed,
        "refusal": adapted.trial.refusal,
        "map_gain": asdict(gain),
        "recall_at_10": migrated.generation.recall_at_10,
    }


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[name] = perf_counter() - started


if __name__ == "__main__":
    typer.run(main)
