"""After an erasure no file and no row has a trace of it, whatever was done before."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event as Stop
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.catalogue.perceptual_hashes import set_phashes
from db.retention.erasures import ErasureKind, erase_listing
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.types import EncoderSpec
from models.vectors import to_stored
from tests.support.clock import Clock
from tests.support.traces import in_files
from workers.retention.erasing import Places, finish_erasures
from workers.retention.steps import Pace

DIMENSION = 64
LETTERS = "bcdfghjklmnpqrstvwxz"
COMMON = ["lamp", "table", "old", "red", "chair", "for sale", "like new", "collect only"]


@dataclass
class Marked:
    """A listing of whose every text nobody else has the like, and all that was ever stated."""

    number: int
    traces: list[str | UUID | bytes] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        return UUID(int=Random(self.number).getrandbits(128))


class Site:
    """A catalogue that is written and erased in any order."""

    def __init__(self, database: Database, folder: Path, seed: int) -> None:
        self.database = database
        self.folder = folder
        self.store = PhotoStore(folder / "photos")
        self.clock = Clock()
        self.random = Random(seed)
        self.listings: dict[int, Marked] = {}
        with database.write() as session:
            spec = EncoderSpec("hog", DIMENSION, "f" * 64)
            self.encoder_id = activate_initial_encoder(session, spec, self.clock()).id

    def word(self) -> str:
        return "".join(self.random.choices(LETTERS, k=12))

    def write(self, number: int, photos: int, length: int) -> None:
        """State a listing, with other texts and photos than before."""
        marked = self.listings.setdefault(number, Marked(number))
        words = [self.word() for _ in range(length)]
        title, seller, place, attribute, external = (self.word() for _ in range(5))
        marked.traces += [marked.id, *words, title, seller, place, attribute, external]
        text = " ".join(f"{word} {self.random.choice(COMMON)}" for word in words)
        data = ListingData(
            marked.id,
            f"Lamp {title}",
            text,
            "Lamps / Old",
            location=f"{place}, Dorset",
            seller=seller,
            external_id=external,
            attributes={"brand": attribute},
        )
        stored = [self._photo(marked) for _ in range(photos)]
        with self.database.write() as session:
            upsert_listings(session, [data], self.clock(), feed="feed")
            ids = ensure_photos(session, stored, self.clock())
            set_photos(session, {marked.id: list(ids.values())})
        vectors = {photo_id: self._vector(marked) for photo_id in ids.values()}
        with self.database.write() as session:
            add_embeddings(session, self.encoder_id, vectors)
            set_phashes(session, dict.fromkeys(ids.values(), self.random.getrandbits(60)))

    def _photo(self, marked: Marked) -> PhotoData:
        data = self.random.randbytes(300)
        digest = self.store.put(data)
        marked.traces += [digest, data[:40]]
        return PhotoData(digest, 30, 40)

    def _vector(self, marked: Marked) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        vector = np.frombuffer(self.random.randbytes(DIMENSION), np.int8).astype(np.float32)
        vector /= np.linalg.norm(vector)
        marked.traces.append(to_stored(vector).tobytes()[:24])
        return vector

    def delete(self, number: int) -> None:
        with self.database.write() as session:
            delete_listings(session, [self.listings[number].id], self.clock())

    def erase(self, number: int) -> list[str | UUID | bytes]:
        marked = self.listings.pop(number)
        with self.database.write() as session:
            erase_listing(session, marked.id, self.clock())
        return marked.traces

    def finish(self) -> None:
        pace = Pace(self.database, self.clock, Stop(), rest_s=0.0)
        places = Places(self.store, self.folder / "generations", self.folder / "columns")
        assert finish_erasures(pace, places, [ErasureKind.LISTING]) == []


def steps_of_writers() -> st.SearchStrategy[list[tuple[int, str, int, int]]]:
    one = st.tuples(
        st.integers(0, 12),
        st.sampled_from(["write", "write", "write", "delete", "erase"]),
        st.integers(0, 2),
        st.integers(1, 120),
    )
    return st.lists(one, min_size=5, max_size=40)


@given(steps=steps_of_writers(), seed=st.integers(0, 2**32))
@settings(
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_nothing_is_left_in_any_file_whatever_was_written_before(
    steps: list[tuple[int, str, int, int]],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_sqlite: Path,
) -> None:
    folder = tmp_path_factory.mktemp("site")
    (folder / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{folder / 'marketlens.db'}")
    try:
        site = Site(database, folder, seed)
        erased: list[str | UUID | bytes] = []
        for number, what, photos, length in steps:
            if what == "write":
                site.write(number, photos, length)
            elif number in site.listings and what == "erase":
                erased += site.erase(number)
            elif number in site.listings:
                site.delete(number)
        kept = {trace for marked in site.listings.values() for trace in marked.traces}
        site.finish()
        assert list(in_files(folder, [one for one in erased if one not in kept])) == []
    finally:
        database.close()
