"""Saved searches find what becomes findable after they were saved, once."""

from decimal import Decimal
from uuid import uuid4

import pytest

from db.catalogue.listing_photos import photo_ids_shown
from db.catalogue.listings import ListingData, upsert_listings
from db.saved_searches.searches import (
    SavedSearchStatus,
    Webhook,
    delete_saved_search,
    disable_webhook,
)
from models.domain.filters import ListingFilter
from models.domain.types import ListingStatus
from models.photo_decoding import standardise
from tests.support.pictures import grey, jpeg
from tests.support.saved_searches import (
    found_by,
    match,
    matches_of,
    save,
    save_picture,
    shown,
    stored_picture,
    without_catching_up,
)
from tests.support.workers import WorkerHarness

ALMOST = 0.999


def put(worker: WorkerHarness, listing: ListingData) -> None:
    """Write a listing's row, which changes none of its photos."""
    with worker.database.write() as session:
        upsert_listings(session, [listing], worker.now())


def test_a_new_listing_is_found_by_the_job_that_embeds_it(worker: WorkerHarness) -> None:
    like_it, unlike_it = save_picture(worker, 1), save_picture(worker, 2)
    listing_id = worker.list_pictures(1, 5)
    assert found_by(worker.database, like_it) == {listing_id}
    assert found_by(worker.database, unlike_it) == set()
    (found,) = matches_of(worker.database, like_it)
    assert found.similarity == pytest.approx(1, abs=1e-3)
    assert found.next_attempt_at is None


def test_what_was_there_before_is_not_found(worker: WorkerHarness) -> None:
    save_picture(worker, 9)
    worker.list_pictures(1)
    search_id = save_picture(worker, 1)
    match(worker)
    assert found_by(worker.database, search_id) == set()


def test_what_came_while_it_waited_for_its_vectors_is_found(worker: WorkerHarness) -> None:
    save_picture(worker, 9)
    before = worker.list_pictures(1)
    search_id = save(worker.database, stored_picture(worker, 1))
    assert shown(worker.database, search_id).status is SavedSearchStatus.PENDING
    _, photo_ids = worker.list_photos(jpeg(1), listing_id=(after := uuid4()))
    with without_catching_up():
        worker.embed(photo_ids)
    assert found_by(worker.database, search_id) == set()
    match(worker)
    assert shown(worker.database, search_id).status is SavedSearchStatus.ACTIVE
    assert found_by(worker.database, search_id) == {after}
    assert before != after


def test_a_listing_that_was_embedded_only_after_the_search_was_saved_is_found(
    worker: WorkerHarness,
) -> None:
    save_picture(worker, 9)
    _, photo_ids = worker.list_photos(jpeg(1), listing_id=(listing_id := uuid4()))
    match(worker)
    search_id = save(worker.database, stored_picture(worker, 1))
    with without_catching_up():
        worker.embed(photo_ids)
    match(worker)
    assert found_by(worker.database, search_id) == {listing_id}


def test_what_an_older_search_waits_for_is_not_for_a_newer_one(worker: WorkerHarness) -> None:
    save_picture(worker, 9)
    older = save(worker.database, stored_picture(worker, 1))
    with without_catching_up():
        listing_id = worker.list_pictures(1)
    newer = save(worker.database, stored_picture(worker, 1))
    match(worker)
    assert found_by(worker.database, older) == {listing_id}
    assert found_by(worker.database, newer) == set()


def test_a_price_that_falls_under_the_limit_is_found(worker: WorkerHarness) -> None:
    listing = ListingData(uuid4(), "Kettle", price=Decimal(50), currency="GBP")
    worker.list_pictures_of(listing, 1)
    search_id = save_picture(worker, 1, filter=ListingFilter(price_max=Decimal(30)))
    put(worker, ListingData(listing.id, "Kettle", price=Decimal(40), currency="GBP"))
    match(worker)
    assert found_by(worker.database, search_id) == set()
    put(worker, ListingData(listing.id, "Kettle", price=Decimal(30), currency="GBP"))
    match(worker)
    assert found_by(worker.database, search_id) == {listing.id}


def test_a_restored_listing_is_found(worker: WorkerHarness) -> None:
    listing_id = worker.list_pictures(1)
    search_id = save_picture(worker, 1)
    worker.delete(listing_id)
    match(worker)
    assert found_by(worker.database, search_id) == set()
    put(worker, ListingData(listing_id, "A thing"))
    match(worker)
    assert found_by(worker.database, search_id) == {listing_id}


def test_what_is_found_again_is_one_match(worker: WorkerHarness) -> None:
    search_id = save_picture(worker, 1)
    listing_id = worker.list_pictures(1)
    for title in ("Kettle", "Red kettle"):
        put(worker, ListingData(listing_id, title))
        match(worker)
    assert len(matches_of(worker.database, search_id)) == 1


def test_a_listing_that_is_not_active_waits(worker: WorkerHarness) -> None:
    search_id = save_picture(worker, 1)
    listing = ListingData(uuid4(), "Kettle", status=ListingStatus.RESERVED)
    worker.list_pictures_of(listing, 1)
    assert found_by(worker.database, search_id) == set()
    put(worker, ListingData(listing.id, "Kettle"))
    match(worker)
    assert found_by(worker.database, search_id) == {listing.id}


def test_the_stated_similarity_decides(worker: WorkerHarness) -> None:
    exacting = save_picture(worker, 1, min_similarity=1.1)
    generous = save_picture(worker, 1, min_similarity=-1.0)
    listing_id = worker.list_pictures(7)
    assert found_by(worker.database, exacting) == set()
    assert found_by(worker.database, generous) == {listing_id}


def test_a_listing_that_is_named_is_not_found_and_may_go(worker: WorkerHarness) -> None:
    named = worker.list_pictures(1)
    search_id = save(worker.database, named, min_similarity=ALMOST)
    match(worker)
    put(worker, ListingData(named, "Changed"))
    worker.delete(named)
    match(worker)
    assert found_by(worker.database, search_id) == set()
    twin = worker.list_pictures(1)
    assert found_by(worker.database, search_id) == {twin}


def test_words_alone_find_what_has_no_photo(worker: WorkerHarness) -> None:
    search_id = save(worker.database, text="red kettle -chipped")
    match(worker)
    assert shown(worker.database, search_id).status is SavedSearchStatus.ACTIVE
    kettle = ListingData(uuid4(), "Two kettles", "Red ones.")
    for listing in (kettle, ListingData(uuid4(), "Red kettle, chipped")):
        put(worker, listing)
    match(worker)
    (found,) = matches_of(worker.database, search_id)
    assert (found.listing_id, found.photo_id, found.similarity) == (kettle.id, None, None)


def test_words_alone_show_the_first_photo(worker: WorkerHarness) -> None:
    search_id = save(worker.database, text="kettle")
    match(worker)
    listing = ListingData(uuid4(), "Kettle")
    worker.list_pictures_of(listing, 3, 1)
    match(worker)
    (found,) = matches_of(worker.database, search_id)
    with worker.database.read() as session:
        first = photo_ids_shown(session, [listing.id])[listing.id][0]
    assert (found.photo_id, found.similarity) == (first, None)


def test_words_alone_find_a_listing_before_its_photos_are_embedded(worker: WorkerHarness) -> None:
    search_id = save(worker.database, text="kettle")
    match(worker)
    listing = ListingData(uuid4(), "Kettle")
    _, photo_ids = worker.list_photos(jpeg(1), listing_id=listing.id)
    put(worker, listing)
    match(worker)
    assert found_by(worker.database, search_id) == {listing.id}
    with without_catching_up():
        worker.embed(photo_ids)
    assert len(matches_of(worker.database, search_id)) == 1


def test_words_alone_do_not_find_what_was_listed_before_and_is_embedded_now(
    worker: WorkerHarness,
) -> None:
    listing = ListingData(uuid4(), "Kettle")
    _, photo_ids = worker.list_photos(jpeg(1), listing_id=listing.id)
    put(worker, listing)
    search_id = save(worker.database, text="kettle")
    match(worker)
    with without_catching_up():
        worker.embed(photo_ids)
    match(worker)
    assert found_by(worker.database, search_id) == set()


def test_words_beside_a_photo_are_both_needed(worker: WorkerHarness) -> None:
    search_id = save_picture(worker, 1, min_similarity=ALMOST, text="red kettle")
    alike, named = ListingData(uuid4(), "Blue kettle"), ListingData(uuid4(), "Red kettle")
    worker.list_pictures_of(alike, 1)
    worker.list_pictures_of(named, 2)
    assert found_by(worker.database, search_id) == set()
    both = ListingData(uuid4(), "Kettles", "In red.")
    worker.list_pictures_of(both, 1, 3)
    assert found_by(worker.database, search_id) == {both.id}
    put(worker, ListingData(alike.id, "Red and blue kettle"))
    match(worker)
    assert found_by(worker.database, search_id) == {both.id, alike.id}
    assert all(found.similarity is not None for found in matches_of(worker.database, search_id))


def test_words_of_a_photo_with_nothing_to_compare_find_nothing(worker: WorkerHarness) -> None:
    photo = worker.runtime.store.put(standardise(grey()).data)
    search_id = save(worker.database, photo, text="kettle")
    match(worker)
    worker.list_pictures_of(ListingData(uuid4(), "Kettle"), 1)
    match(worker)
    assert shown(worker.database, search_id).status is SavedSearchStatus.FAILED
    assert found_by(worker.database, search_id) == set()


def test_words_that_can_not_be_read_any_more_keep_no_other_from_matching(
    worker: WorkerHarness,
) -> None:
    unreadable = save(worker.database, stored_picture(worker, 1), text="…")
    search_id = save_picture(worker, 1, text="kettle")
    listing = ListingData(uuid4(), "Kettle")
    worker.list_pictures_of(listing, 1)
    match(worker)
    assert found_by(worker.database, search_id) == {listing.id}
    assert found_by(worker.database, unreadable) == set()


def test_a_search_for_words_has_its_filter_too(worker: WorkerHarness) -> None:
    cheap = ListingFilter(price_max=Decimal(10))
    search_id = save(worker.database, text="kettle", filter=cheap)
    match(worker)
    listing = ListingData(uuid4(), "Kettle", price=Decimal(11), currency="GBP")
    put(worker, listing)
    match(worker)
    assert found_by(worker.database, search_id) == set()
    put(worker, ListingData(listing.id, "Kettle", price=Decimal(10), currency="GBP"))
    match(worker)
    assert found_by(worker.database, search_id) == {listing.id}


def test_a_search_with_nothing_to_compare_fails_and_says_so(worker: WorkerHarness) -> None:
    search_id = save(worker.database, worker.runtime.store.put(standardise(grey()).data))
    match(worker)
    view = shown(worker.database, search_id)
    assert view.status is SavedSearchStatus.FAILED
    assert view.error
    worker.list_pictures(1)
    assert found_by(worker.database, search_id) == set()


def test_a_deleted_search_finds_nothing_more(worker: WorkerHarness) -> None:
    kept, deleted = save_picture(worker, 1), save_picture(worker, 1)
    worker.list_pictures(1)
    with worker.database.write() as session:
        delete_saved_search(session, deleted)
    second = worker.list_pictures(1, 2)
    assert second in found_by(worker.database, kept)


def test_matches_with_a_webhook_are_due(worker: WorkerHarness) -> None:
    webhook = Webhook("https://example.com/", "example.com", "whsec_AAAA")
    search_id = save_picture(worker, 1, webhook=webhook)
    worker.list_pictures(1)
    (found,) = matches_of(worker.database, search_id)
    assert found.next_attempt_at is not None
    with worker.database.write() as session:
        disable_webhook(session, found.saved_search, worker.now())
    worker.list_pictures(1, 3)
    assert [row.next_attempt_at for row in matches_of(worker.database, search_id)] == [None] * 2
