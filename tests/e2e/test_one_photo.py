"""One photo has one embedding, whichever way it came in and whoever asks for it."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from api.main import create_app
from db.catalogue.listing_photos import ensure_photos
from db.jobs import reading
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import live_vectors_of, vectors_of_hashes
from db.vectors.encoders import register_encoder
from etl.photos.prepare import FeedPhoto, prepare_photos
from models.domain.job_payloads import SearchPayload
from models.domain.types import JobType
from models.encoders.encoder import Encoder
from models.encoders.library import EncoderLibrary
from models.encoders.package import write_package
from models.encoders.runtimes import open_encoder
from models.labels import LabelledPhotos
from models.photo_decoding import decode
from models.training.data.features import features, unit_vectors
from settings import Settings
from tests.support.embedding import claim_queued, embed_claimed
from tests.support.networks import NETWORK, SMALL, write_weights
from tests.support.payloads import payload_as
from tests.support.pictures import jpeg, picture
from workers.indexes.live import LiveIndex
from workers.search.active_engine import SearchEngine
from workers.search.query import QueryPhoto
from workers.search.query_encoder import QueryEncoder
from workers.search.stopwatch import Stopwatch

SIDEWAYS = 6


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    weights = write_weights(tmp_path / "weights.safetensors")
    package = write_package(
        tmp_path / "models",
        NETWORK,
        weights=weights,
        transform=SMALL,
        facts={},
    )
    return open_encoder(EncoderLibrary("hog", None, tmp_path / "models"), package.spec, 2)


def as_a_camera_takes_it() -> bytes:
    exif = Image.Exif()
    exif[274] = SIDEWAYS
    file = io.BytesIO()
    picture(7, (1400, 1050)).save(file, "JPEG", quality=92, exif=exif)
    return file.getvalue()


def now() -> datetime:
    return datetime.now(UTC)


def test_one_photo_has_one_embedding(
    tmp_path: Path, any_database: Database, store: PhotoStore, encoder: Encoder
) -> None:
    database, taken = any_database, as_a_camera_takes_it()

    # Into the store: from a feed, as a listing's photo, as a question.
    file = tmp_path / "photo.jpg"
    file.write_bytes(taken)
    fed = prepare_photos(
        [FeedPhoto(2, "1", "1", file)], store, None, max_bytes=10_000_000, processes=1
    )
    (from_feed,) = [photo.data for photo in fed]
    assert from_feed
    url = database.engine.url.render_as_string(hide_password=False)
    settings: dict[str, Any] = {
        "data_dir": tmp_path,
        "database_url": url,
        "redis_url": f"redis+socket://{tmp_path}/nobody.sock",
    }
    with TestClient(
        create_app(Settings.model_validate(settings)),
        "http://127.0.0.1",
        client=("127.0.0.1", 50_000),
    ) as client:
        listed = client.post(
            "/v1/listings",
            data={"listing": '{"title": "A lamp"}'},
            files=[("photos", taken), ("photos", jpeg(1)), ("photos", jpeg(2))],
        )
        assert listed.status_code == 202
        asked = client.post("/v1/searches", files={"photo": taken})
        assert asked.status_code == 202
    with database.read() as session:
        job = reading.get(session, UUID(asked.json()["id"]))
    (positive,) = payload_as(job, SearchPayload).positive
    question = str(positive)
    assert question == from_feed.sha256

    # Into vectors: with the listing's other photos, alone, with other questions, for training.
    with database.write() as session:
        encoder_id = register_encoder(session, encoder.spec, now())
        (claim,) = claim_queued(session, JobType.EMBED, now())
        photo_id = ensure_photos(session, [from_feed], now())[from_feed.sha256]
    embed_claimed(claim, database, store, {encoder_id: encoder}, now)
    with database.read() as session:
        at_rest = vectors_of_hashes(session, encoder_id, [question])[question]
        in_the_index = live_vectors_of(session, encoder_id, [photo_id])[1][0]
    # As an encoder that has not stored it yet, so that both are computed anew.
    index = LiveIndex(encoder.spec, encoder_id + 1, tmp_path / "generations")
    engine = SearchEngine(encoder_id + 1, encoder, index, batch=3)
    alone, together = QueryEncoder(store, engine), QueryEncoder(store, engine)
    others = [store.put(data) for data in (jpeg(3), jpeg(4))]
    alone.embed([QueryPhoto(question)], Stopwatch())
    together.embed(map(QueryPhoto, (others[0], question, others[1])), Stopwatch())
    (searched,) = alone.vectors_of([QueryPhoto(question)])
    (searched_with_others,) = together.vectors_of([QueryPhoto(question)])
    photos = LabelledPhotos((question,), ("1",), ("Lamps",), store.get)
    learned = unit_vectors(
        features(photos, encoder, tmp_path / "features", lambda *_: None), photos
    )[0]
    direct = encoder.embed([decode(store.get(question))])[0]

    for computed in (searched, searched_with_others):
        np.testing.assert_allclose(computed, direct, atol=1e-6)
    # These rest in half precision.
    for stored in (at_rest, in_the_index, learned):
        np.testing.assert_allclose(stored, direct, atol=2**-11 * direct.max())
