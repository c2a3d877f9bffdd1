"""Changing to an adapted encoder reads no photo, lacks none, and survives a kill at any batch."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from db.vectors import embeddings
from db.vectors.changes import last_change
from db.vectors.embeddings import add_embeddings, live_vectors, photos_lacking
from db.vectors.encoders import follow_encoder, register_encoder
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.vectors import as_stored
from tests.support.adaptation import open_adapted, write_some_adapted
from tests.support.pictures import grey, jpeg, picture
from tests.support.workers import WorkerHarness
from workers.encoders.derivation import Derivation, derive_vectors
from workers.encoders.migration import Migrated, Migration
from workers.queue.executors import InlineExecutor
from workers.tasks import run_job

Vectors = dict[int, NDArray[np.float32]]


@pytest.fixture
def adapted(
    worker: WorkerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AdaptedEncoder:
    """Of the active encoder, which has embedded six pictures, and a photo without features."""
    monkeypatch.setattr(embeddings, "BATCH_ROWS", 2)
    for seed in range(6):
        worker.list_pictures(seed)
    _, photo_ids = worker.list_photos(grey())
    worker.embed(photo_ids)
    worker.reindex()
    package = write_some_adapted(tmp_path / "adapted", worker.encoder.spec)
    encoder = open_adapted(package, worker.encoder)
    worker.library.encoders[encoder.spec] = encoder
    return encoder


def derivation_of(encoder: AdaptedEncoder) -> Derivation:
    return Derivation(encoder.base.spec, encoder.adapt)


def migrate(worker: WorkerHarness, encoder: AdaptedEncoder) -> Migrated:
    run = partial(run_job, worker.runtime)
    with InlineExecutor(worker.database, lambda _: nullcontext(run), worker.now) as executor:
        migration = Migration(
            worker.database, executor, clock=worker.now, new_id=uuid4, on_progress=lambda *_: None
        )
        return migration.run(encoder.spec, derivation_of(encoder))


def follow(worker: WorkerHarness, encoder: AdaptedEncoder) -> int:
    with worker.database.write() as session:
        return follow_encoder(session, register_encoder(session, encoder.spec, worker.now())).id


def vectors_of(worker: WorkerHarness, encoder_id: int) -> Vectors:
    return {
        photo_id: vector
        for ids, vectors in live_vectors(worker.database.read, encoder_id)
        for photo_id, vector in zip(ids.tolist(), vectors, strict=True)
    }


def lacking(worker: WorkerHarness, encoder_id: int) -> int:
    with worker.database.read() as session:
        return len(photos_lacking(session, encoder_id))


def changes(worker: WorkerHarness) -> int:
    with worker.database.read() as session:
        return last_change(session)


def test_a_migration_maps_what_is_stored_and_reads_no_photo(
    worker: WorkerHarness, adapted: AdaptedEncoder
) -> None:
    embedded, before = worker.encoder.embedded, changes(worker)
    migrated = migrate(worker, adapted)
    assert worker.encoder.embedded == embedded
    assert (migrated.embedded, migrated.failed) == (7, 0)
    assert migrated.generation.rows == 6
    assert lacking(worker, migrated.encoder.id) == 0
    # Nobody searches with it yet: no search worker has anything to look at again.
    assert changes(worker) == before
    base, own = (vectors_of(worker, one) for one in (worker.encoder_id, migrated.encoder.id))
    assert base.keys() == own.keys()
    expected = as_stored(adapted.adapt(np.stack(list(base.values()))))
    np.testing.assert_allclose(np.stack(list(own.values())), expected, atol=2e-3)
    found = worker.search(3)
    worker.activate(migrated.encoder.id)
    assert worker.search(3)[0] == found[0]


def test_a_killed_derivation_is_gone_on_with(
    worker: WorkerHarness, adapted: AdaptedEncoder
) -> None:
    encoder_id = follow(worker, adapted)
    shown: list[tuple[int, int]] = []

    def die(done: int, total: int) -> None:
        shown.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derive_vectors(worker.database, encoder_id, derivation_of(adapted), die)
    assert shown == [(2, 7), (4, 7)]
    assert lacking(worker, encoder_id) == 3
    done = derive_vectors(worker.database, encoder_id, derivation_of(adapted), lambda *_: None)
    assert done == 3
    assert lacking(worker, encoder_id) == 0


def test_once_it_has_an_index_what_is_derived_is_looked_at_again(
    worker: WorkerHarness, adapted: AdaptedEncoder
) -> None:
    base_id, migrated = worker.encoder_id, migrate(worker, adapted)
    # Known to the base alone, as after a time in which the adapted one was retired.
    _, photo_ids = worker.list_photos(jpeg(9))
    with worker.database.write() as session:
        vectors = worker.encoder.embed([picture(9)])
        add_embeddings(session, base_id, dict(zip(photo_ids, vectors, strict=True)))
    before = changes(worker)
    derive_vectors(worker.database, migrated.encoder.id, derivation_of(adapted), lambda *_: None)
    assert changes(worker) == before + 1


def test_new_photos_are_embedded_once_for_both(
    worker: WorkerHarness, adapted: AdaptedEncoder
) -> None:
    encoder_id = follow(worker, adapted)
    embedded = worker.encoder.embedded
    worker.list_pictures(20)
    assert worker.encoder.embedded == embedded + 1
    assert len(vectors_of(worker, encoder_id)) == 1
    assert len(vectors_of(worker, worker.encoder_id)) == 7
