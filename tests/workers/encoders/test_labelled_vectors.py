"""Photos to learn from: whole listings, drawn from all of the catalogue."""

import numpy as np

from db.vectors.embeddings import add_embeddings
from models.labels import Level
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.workers import WorkerHarness
from workers.encoders.labelled_vectors import LabelledVectors, labelled_vectors

LISTINGS = 40
PHOTOS_EACH = 5


def test_of_a_large_catalogue_whole_listings_are_drawn_old_and_new(worker: WorkerHarness) -> None:
    with worker.database.write() as session:
        for number in range(LISTINGS):
            first = number * PHOTOS_EACH
            photos = numbered_photos(*range(first, first + PHOTOS_EACH))
            _, ids = add_listing(session, photos)
            vectors = np.eye(PHOTOS_EACH, worker.encoder.spec.dimension, dtype=np.float32)
            add_embeddings(session, worker.encoder_id, dict(zip(ids, vectors, strict=True)))

    def drawn(most: int) -> LabelledVectors:
        return labelled_vectors(
            worker.database, worker.runtime.store, worker.encoder_id, Level.SUB, most
        )

    assert len(drawn(LISTINGS * PHOTOS_EACH).photos) == LISTINGS * PHOTOS_EACH
    some = drawn(50)
    assert len(some.photos) == len(some.vectors) == 50
    counts = {listing: some.photos.listings.count(listing) for listing in some.photos.listings}
    assert set(counts.values()) == {PHOTOS_EACH}
    numbers = [int(sha256, 16) for sha256 in some.photos.hashes]
    assert min(numbers) < LISTINGS * PHOTOS_EACH / 3 < 2 * LISTINGS * PHOTOS_EACH / 3 < max(numbers)
