"""Vectors of photos, those that have none to give, and what is still to be embedded."""

from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select

from db.jobs import accepting, cancelling
from db.session import Database
from db.statements import COPY_FROM_ROWS
from db.tables import Change, Job
from db.vectors import embeddings
from db.vectors.embeddings import (
    add_embeddings,
    count_live,
    embedded,
    having_vector,
    live_vectors,
    live_vectors_of,
    open_embed_jobs,
    photos_in_open_jobs,
    photos_to_embed,
    vectors_of_hashes,
)
from db.vectors.encoders import register_encoder
from models.domain.job_payloads import EmbedPayload, ReindexPayload
from models.domain.types import EncoderSpec
from models.vectors import as_stored
from tests.support.catalogue import add_listing, numbered_photos, sha256
from tests.support.clock import Clock

ENCODER = EncoderSpec(name="hog", dimension=4, fingerprint="a" * 64)
SEEN = np.array([0, 1, 0, 0], np.float32)
NOTHING = np.zeros(4, np.float32)


def list_photos(database: Database, count: int, clock: Clock) -> list[int]:
    """A listing of so many photos; gives their ids in order of their hashes."""
    with database.write() as session:
        return add_listing(session, numbered_photos(*range(count)), clock())[1]


def add(database: Database, vectors: dict[int, NDArray[np.float32]], clock: Clock) -> int:
    """Store vectors; gives the encoder's id."""
    with database.write() as session:
        encoder_id = register_encoder(session, ENCODER, clock())
        add_embeddings(session, encoder_id, vectors)
    return encoder_id


@pytest.mark.parametrize("dimension", [48, 2048])
def test_a_vector_is_read_as_an_index_reads_it(
    database: Database, dimension: int, clock: Clock
) -> None:
    drawn = np.random.default_rng(0).normal(size=(60, dimension))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors = drawn.astype(np.float32)
    photo_ids = sorted(list_photos(database, 60, clock))
    encoder_id = add(database, dict(zip(photo_ids, vectors, strict=True)), clock)
    with database.read() as session:
        ids, found = live_vectors_of(session, encoder_id, photo_ids)
    assert np.array_equal(found[np.argsort(ids)], as_stored(vectors))


def promise(database: Database, photo_ids: list[int], clock: Clock) -> Job:
    with database.write() as session:
        payload = EmbedPayload(photo_ids=tuple(photo_ids))
        return accepting.accept(session, payload, job_id=uuid4(), now=clock())


def changes(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(Change)).one()


@pytest.mark.parametrize("count", [2, COPY_FROM_ROWS])
def test_a_photo_with_nothing_in_it_is_embedded_and_has_no_vector(
    any_database: Database, clock: Clock, count: int
) -> None:
    seen, *blank = photo_ids = list_photos(any_database, count, clock)
    before = changes(any_database)

    encoder_id = add(any_database, {seen: SEEN} | dict.fromkeys(blank, NOTHING), clock)

    assert changes(any_database) == before + 1
    with any_database.read() as session:
        assert embedded(session, encoder_id, photo_ids) == set(photo_ids)
        assert photos_to_embed(session, encoder_id) == set()
        assert having_vector(session, encoder_id, photo_ids) == {seen}
        assert count_live(session, encoder_id) == 1
        for ids, vectors in (
            live_vectors_of(session, encoder_id, photo_ids),
            *live_vectors(any_database.read, encoder_id),
        ):
            assert ids.tolist() == [seen]
            assert vectors.tolist() == [SEEN.tolist()]
        by_hash = vectors_of_hashes(session, encoder_id, [sha256(0), sha256(1)])
        assert by_hash.keys() == {sha256(0)}
        found = by_hash[sha256(0)]
        assert found is not None
        assert found.tolist() == SEEN.tolist()


def test_the_next_vectors_come_after_photos_without_one(
    any_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *blank, last = sorted(list_photos(any_database, 4, clock))
    encoder_id = add(any_database, {first: SEEN, last: SEEN} | dict.fromkeys(blank, NOTHING), clock)
    monkeypatch.setattr(embeddings, "BATCH_ROWS", 1)
    batches = [ids.tolist() for ids, _ in live_vectors(any_database.read, encoder_id)]
    assert batches == [[first], [last]]


def test_what_is_to_be_embedded_is_neither_embedded_nor_promised(
    any_database: Database, clock: Clock
) -> None:
    done, promised, dropped, missing = list_photos(any_database, 4, clock)
    encoder_id = add(any_database, {done: SEEN}, clock)
    job = promise(any_database, [promised, done], clock)
    ended = promise(any_database, [dropped], clock)
    with any_database.write() as session:
        cancelling.cancel(session, ended.id, clock())
        accepting.accept(session, ReindexPayload(), job_id=uuid4(), now=clock())

    with any_database.read() as session:
        assert list(open_embed_jobs(session)) == [(job.id, (promised, done), None)]
        assert set(photos_in_open_jobs(session)) == {promised, done}
        assert photos_to_embed(session, encoder_id) == {dropped, missing}
        assert photos_to_embed(session, None) == {dropped, missing}
