"""A saved search that can't be embedded keeps nothing else from being done."""

from uuid import uuid4

import pytest

from db.catalogue.listings import ListingData
from db.saved_searches.searches import SavedSearchStatus
from db.store.photo_store import PhotoStore
from models.domain.errors import Unavailable
from models.domain.filters import ListingFilter
from models.domain.searches.attributes import AttributeCondition
from tests.support.catalogue import sha256
from tests.support.saved_searches import (
    found_by,
    match,
    save,
    save_picture,
    shown,
    stored_picture,
)
from tests.support.workers import WorkerHarness
from workers.search.query_encoder import QueryEncoder


def test_one_without_its_photo_fails_alone(worker: WorkerHarness) -> None:
    lost, other = save(worker.database, sha256(1)), save_picture(worker, 1)
    listing_id = worker.list_pictures(1)
    assert shown(worker.database, lost).status is SavedSearchStatus.FAILED
    assert found_by(worker.database, other) == {listing_id}


def test_one_that_breaks_fails_alone(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_it(*_: object) -> None:
        raise RuntimeError("broken")

    search_id = save(worker.database, stored_picture(worker, 1))
    with monkeypatch.context() as patch:
        patch.setattr(QueryEncoder, "queries_of", break_it)
        worker.list_pictures(5)
    view = shown(worker.database, search_id)
    assert (view.status, view.error) == (
        SavedSearchStatus.FAILED,
        "RuntimeError, see the worker's log.",
    )


def test_one_whose_photo_can_not_be_read_now_waits_alone(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = stored_picture(worker, 1)
    searches = [save(worker.database, photo) for photo in (waiting, stored_picture(worker, 2))]
    get = PhotoStore.get

    def get_or_not(store: PhotoStore, digest: str) -> bytes:
        if digest == waiting:
            raise Unavailable("The store can't be reached.")
        return get(store, digest)

    with monkeypatch.context() as patch:
        patch.setattr(PhotoStore, "get", get_or_not)
        worker.list_pictures(2, 5)
    statuses = [shown(worker.database, search_id).status for search_id in searches]
    assert statuses == [SavedSearchStatus.PENDING, SavedSearchStatus.ACTIVE]
    listing_id = worker.list_pictures(1)
    match(worker)
    assert found_by(worker.database, searches[0]) == {listing_id}


def test_attributes_are_told_apart_as_a_filter_does(worker: WorkerHarness) -> None:
    def attribute(value: int | bool) -> ListingFilter:
        return ListingFilter(attributes=(AttributeCondition("boxed", (value,)),))

    one = save_picture(worker, 1, filter=attribute(1))
    true = save_picture(worker, 1, filter=attribute(True))
    listing = ListingData(uuid4(), "Kettle", attributes={"boxed": True})
    worker.list_pictures_of(listing, 1)
    assert found_by(worker.database, one) == set()
    assert found_by(worker.database, true) == {listing.id}
