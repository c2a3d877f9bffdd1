"""What a comparison of two encoders says, of vectors whose neighbours are known."""

from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from db.catalogue.listings import ListingData
from db.session import Database
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import get_encoder, register_encoder
from models.domain.types import EncoderSpec
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.clock import Clock
from workers.encoders import comparison as comparing
from workers.encoders.comparison import Comparison, compare

GROUPS = 12
PHOTOS = 6
DIMENSION = 32


def list_groups(database: Database, category: str | None = "Group {group}") -> NDArray[np.int64]:
    """Twelve groups of six listings with a photo each; gives the photos' ids."""
    ids = np.empty((GROUPS, PHOTOS), np.int64)
    with database.write() as session:
        for group in range(GROUPS):
            for number in range(PHOTOS):
                filed = category and category.format(group=group, number=number)
                listing = ListingData(uuid4(), "A thing", category=filed)
                photos = numbered_photos(group * PHOTOS + number)
                _, (ids[group, number],) = add_listing(session, photos, listing=listing)
    return ids


def embed(database: Database, name: str, ids: NDArray[np.int64], *, noise: float) -> int:
    """An encoder that sees groups, but for noise; gives its id."""
    rng = np.random.default_rng(7)
    rows = np.repeat(np.eye(GROUPS, DIMENSION), PHOTOS, axis=0)[: ids.size]
    rows = rows + noise * rng.standard_normal(rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with database.write() as session:
        spec = EncoderSpec(name, DIMENSION, f"{name:0<64}")
        encoder_id = register_encoder(session, spec, Clock()())
        vectors = dict(zip(ids.reshape(-1).tolist(), rows.astype(np.float32), strict=True))
        add_embeddings(session, encoder_id, vectors)
    return encoder_id


def compared(database: Database, encoder_id: int, baseline_id: int) -> Comparison | None:
    with database.read() as session:
        encoder, baseline = get_encoder(session, encoder_id), get_encoder(session, baseline_id)
    return compare(database, encoder, baseline, lambda _done, _total: None)


def test_what_finds_less_is_worse_and_what_finds_more_is_not(any_database: Database) -> None:
    ids = list_groups(any_database)
    sharp = embed(any_database, "sharp", ids, noise=0.01)
    blurred = embed(any_database, "blurred", ids, noise=0.8)
    worse, better = compared(any_database, blurred, sharp), compared(any_database, sharp, blurred)
    assert worse
    assert better
    assert (worse.photos, worse.queries) == (GROUPS * PHOTOS, GROUPS * PHOTOS)
    assert worse.baseline_precision_at_1 == better.precision_at_1
    assert better.precision_at_1
    assert better.precision_at_1.value == 1.0
    assert worse.difference
    assert better.difference
    assert worse.difference.value == pytest.approx(-better.difference.value)
    assert worse.is_worse
    assert not better.is_worse
    assert 0 < worse.overlap_at_10 < 1


def test_chance_is_no_reason(any_database: Database) -> None:
    ids = list_groups(any_database)
    one = embed(any_database, "one", ids, noise=0.2)
    other = embed(any_database, "other", ids, noise=0.21)
    result = compared(any_database, other, one)
    assert result
    assert not result.is_worse
    assert result.overlap_at_10 > 0.5


@pytest.mark.parametrize("category", [None, "Group {group} / Thing {number}"])
def test_without_categories_in_common_only_the_overlap_is_told(
    database: Database, category: str | None
) -> None:
    ids = list_groups(database, category)
    one = embed(database, "one", ids, noise=0.01)
    other = embed(database, "other", ids, noise=5.0)
    result = compared(database, other, one)
    assert result
    assert (result.precision_at_1, result.difference, result.is_worse) == (None, None, False)
    assert result.overlap_at_10 < 0.5


def test_it_is_of_what_both_have_embedded(database: Database) -> None:
    ids = list_groups(database)
    one = embed(database, "one", ids, noise=0.01)
    other = embed(database, "other", ids[:2], noise=0.01)
    result = compared(database, other, one)
    assert result
    assert result.photos == 2 * PHOTOS


def test_one_photo_is_nothing_to_compare(database: Database) -> None:
    ids = list_groups(database)
    one = embed(database, "one", ids[:1, :1], noise=0.01)
    other = embed(database, "other", ids, noise=0.01)
    assert compared(database, other, one) is None


def test_a_large_catalogue_is_sampled(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "PHOTOS", 40)
    monkeypatch.setattr(comparing, "QUERIES", 10)
    ids = list_groups(database)
    one = embed(database, "one", ids, noise=0.01)
    other = embed(database, "other", ids, noise=0.01)
    result = compared(database, other, one)
    assert result
    assert (result.photos, result.queries) == (40, 10)
    assert result == compared(database, other, one)
