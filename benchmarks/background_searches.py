"""Searches by another process while something else is measured, as a search worker makes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, time

import numpy as np

from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder as EncoderRow
from db.vectors.embeddings import live_vectors_of
from db.vectors.encoders import active_encoder
from models.domain.errors import SetupError
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.runtimes import open_encoder
from models.encoders.specs import hog_spec
from models.index.faiss_index import set_threads
from workers.indexes.open import Indexes
from workers.search.active_engine import ActiveEngine, SearchEngine

PAUSE_S = 0.1
K = 10


@dataclass(frozen=True, slots=True)
class Search:
    """When a search ended (Unix time), how long it took, by which encoder, and if it found itself.

    That is whether the photo whose vector was searched is the first one found.
    """

    at: float
    seconds: float
    encoder_id: int
    found: bool


def milliseconds(searches: list[Search]) -> dict[str, float]:
    """Percentiles of the time of searches."""
    taken = np.array([search.seconds for search in searches]) * 1e3
    return {f"p{share}": round(float(np.percentile(taken, share)), 2) for share in (50, 95, 100)}


@contextmanager
def searches_going_on(
    database_url: str, store_url: str, generations_dir: Path, photos: int
) -> Iterator[list[Search]]:
    """Search for vectors of photos 1 to `photos`; the list is filled when the context ends.

    Raises SetupError if that process fails.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, database_url, store_url, generations_dir, photos)
    process = context.Process(target=_search, args=arguments, daemon=True)
    process.start()
    theirs.close()
    searches: list[Search] = []
    try:
        yield searches
    finally:
        try:
            ours.send("stop")
            searches += ours.recv()
        except (EOFError, OSError) as error:
            raise SetupError("The process that searches has failed.") from error
        finally:
            process.join()


def _search(
    pipe: Connection, database_url: str, store_url: str, generations_dir: Path, photos: int
) -> None:
    set_threads(1)
    database, rng = Database(database_url), np.random.default_rng(0)
    indexes = Indexes(database, PhotoStore(store_url), generations_dir, None)
    # Stored vectors are searched for: it embeds nothing.
    unused = open_encoder(EncoderLibrary(AUTO, None, Path("none")), hog_spec(), 1)

    def open_engine(row: EncoderRow) -> SearchEngine:
        index = indexes.open(row)
        with database.read() as session:
            index.sync(session)
        return SearchEngine(row.id, unused, index, batch=1)

    with database.read() as session:
        active = active_encoder(session)
    if active is None:
        raise SetupError("There is no active encoder.")
    engines = ActiveEngine(database, open_engine, open_engine(active))
    searches = []
    while not pipe.poll(PAUSE_S):
        photo_id = int(rng.integers(photos)) + 1
        begun = perf_counter()
        engine = engines.current()
        with database.read() as session:
            engine.index.sync(session)
            _, vectors = live_vectors_of(session, engine.encoder_id, [photo_id])
        matches = list(islice(engine.index.index.matches(vectors[0], expect=K), K))
        seconds = perf_counter() - begun
        is_found = matches[0].photo_id == photo_id
        searches.append(Search(time(), seconds, engine.encoder_id, is_found))
    pipe.send(searches)
