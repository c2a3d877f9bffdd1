"""The demo shows another encoder at once, but never to whom it is no demo."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from db.catalogue.listing_photos import PhotoData, ensure_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.session import Database
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.encoders.library import EncoderLibrary
from ops.demo import choose_encoder
from tests.support.clock import Clock
from tests.support.encoder import spec_of

HOG = spec_of("hog", None)

# Files that nobody loads need not be weights: what a file is of is told by `test_recognition`.
pytestmark = pytest.mark.usefixtures("any_file_is_resnet50")


@pytest.mark.parametrize(
    ("feed", "is_demo"), [("sample-39-7", True), ("a real one", False), (None, False)]
)
def test_only_a_catalogue_of_the_demo_is_given_another_encoder(
    database: Database, tmp_path: Path, feed: str | None, *, is_demo: bool
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"nobody loads them")
    library = EncoderLibrary("resnet50", weights, tmp_path / "models")
    now = Clock()()
    with database.write() as session:
        upsert_listings(session, [ListingData(uuid4(), "A lamp")], now, feed="sample-39-7")
        upsert_listings(session, [ListingData(uuid4(), "A mug")], now, feed=feed)
        (photo_id,) = ensure_photos(session, [PhotoData("0" * 64, 3, 4)], now).values()
        active = activate_initial_encoder(session, HOG, now)
        add_embeddings(session, active.id, {photo_id: np.ones(HOG.dimension, np.float32)})
    chosen = choose_encoder("sample-39-7", database, library, tmp_path / "models", now)
    assert chosen.spec == (library.configured() if is_demo else HOG)
