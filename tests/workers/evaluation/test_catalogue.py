from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.session import Database
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.errors import InvalidInput, SetupError
from models.domain.types import EncoderSpec, ListingStatus
from models.vectors import as_stored
from workers.evaluation.catalogue import milliseconds, stored_catalogue

LISTED = datetime(2030, 1, 1, tzinfo=UTC)
LATER = LISTED + timedelta(days=9)
VECTORS = np.eye(4, dtype=np.float32)


def listing(number: int, **stated: object) -> ListingData:
    return ListingData(UUID(int=number), f"Thing {number}", external_id=f"x{number}", **stated)  # type: ignore[arg-type]


@pytest.fixture
def filled(any_database: Database) -> Database:
    """Four listings of a feed and one of none: of two photos, sold, deleted, without a photo."""
    with any_database.write() as session:
        of_feed = [listing(1, price=Decimal("9.5"), category="a / b"), listing(2), listing(3)]
        upsert_listings(session, [*of_feed, listing(4)], LISTED, feed="shop")
        upsert_listings(session, [ListingData(UUID(int=5), "Other")], LISTED)
        ids = ensure_photos(session, [PhotoData(f"{n:064x}", 3, 4) for n in range(5)], LISTED)
        photos = [ids[f"{n:064x}"] for n in range(5)]
        # The second photo of the first listing was stored first; the last one shows nothing.
        shown = {1: [photos[1], photos[0]], 2: [photos[2]], 3: [photos[3]], 5: [photos[4]]}
        set_photos(session, {UUID(int=number): rows for number, rows in shown.items()})
        encoder = activate_initial_encoder(session, EncoderSpec("hog", 4, "a" * 64), LISTED)
        vectors = dict(zip(photos, [*VECTORS, np.zeros(4, np.float32)], strict=True))
        add_embeddings(session, encoder.id, vectors)
    with any_database.write() as session:
        upsert_listings(session, [listing(2, status=ListingStatus.SOLD)], LATER, feed="shop")
        delete_listing(session, UUID(int=3), LATER)
    return any_database


def test_all_listings_that_there_were_are_read(filled: Database) -> None:
    seen = []
    with filled.read() as session:
        found = stored_catalogue(session, on_progress=lambda *done: seen.append(done))
    assert [one.listing_id.int for one in found.facts] == [1, 2, 3, 4, 5]
    assert found.names == [str(UUID(int=number)) for number in range(1, 6)]
    assert found.encoder.startswith("hog-")
    assert (found.facts[0].price, found.facts[0].category) == (9.5, "a / b")
    then, later = milliseconds(LISTED), milliseconds(LATER)
    assert found.lifetimes.at(then).tolist() == [False] * 5
    assert found.lifetimes.at(then + 1).tolist() == [True] * 5
    assert found.lifetimes.at(later + 1).tolist() == [True, False, False, True, True]
    similarities = found.similarities
    assert similarities.has_vector(np.arange(5)).tolist() == [True, True, True, False, False]
    assert similarities.vectors_of(np.arange(3)).tolist() == as_stored(VECTORS[1:]).tolist()
    assert similarities.rows(VECTORS[:1])[0].tolist() == [1, 0, 0, -1, -1]
    assert seen[-1] == (4, 4)


def test_a_feed_is_read_by_its_own_names(filled: Database) -> None:
    with filled.read() as session:
        found = stored_catalogue(session, "shop")
        with pytest.raises(InvalidInput, match="a feed with the name other"):
            stored_catalogue(session, "other")
    assert found.names == ["x1", "x2", "x3", "x4"]
    assert found.similarities.rows(VECTORS[2:3])[0].tolist() == [0, 1, 0, -1]


def test_a_database_without_vectors_or_listings_says_so(database: Database) -> None:
    with database.read() as session, pytest.raises(SetupError, match="No photo has been embedded"):
        stored_catalogue(session)
    with database.write() as session:
        activate_initial_encoder(session, EncoderSpec("hog", 4, "a" * 64), LISTED)
    with database.read() as session, pytest.raises(InvalidInput, match="There are no listings"):
        stored_catalogue(session)
