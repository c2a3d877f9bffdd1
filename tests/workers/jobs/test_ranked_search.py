"""Searches by words, by look and words, and by what else counts, as a worker does them."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from db.catalogue.listings import ListingData, upsert_listings
from models.domain.job_results.searches import SearchResult
from models.domain.searches.options import RankPart
from models.domain.types import JobStatus, JobType
from models.photo_decoding import standardise
from tests.support.catalogue import add_listing, stored_photos
from tests.support.payloads import result_as
from tests.support.pictures import jpeg
from tests.support.workers import WorkerHarness


def offer(worker: WorkerHarness, title: str, *seeds: int, **stated: Any) -> UUID:
    """Store a listing with these drawn pictures, and embed them; gives its id."""
    listing = ListingData(uuid4(), title, **stated)
    stored = stored_photos(worker.runtime.store, *(jpeg(seed) for seed in seeds))
    with worker.database.write() as session:
        listing_id, photo_ids = add_listing(session, stored, worker.now(), listing=listing)
    if photo_ids:
        assert worker.embed(photo_ids).status is JobStatus.SUCCEEDED
    return listing_id


def photo(worker: WorkerHarness, seed: int) -> str:
    return worker.runtime.store.put(standardise(jpeg(seed)).data)


def searched(worker: WorkerHarness, **payload: Any) -> SearchResult:
    return result_as(worker.do(JobType.SEARCH, {"limit": 10, **payload}), SearchResult)


def ids(result: SearchResult) -> list[UUID]:
    return [row.listing_id for row in result.results]


def test_words_alone_need_no_encoder(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = offer(worker, "Red kettle", 1)
    offer(worker, "Blue kettle", 2)
    bare = offer(worker, "Another red kettle")
    engine = worker.engine.current()
    monkeypatch.setattr(type(engine.index), "sync", lambda *_: pytest.fail("the index was asked"))
    monkeypatch.setattr(type(engine.encoder), "embed", lambda *_: pytest.fail("it was embedded"))
    result = searched(worker, text="red kettle")
    assert ids(result) == [red, bare]
    assert (result.encoder, result.generation, result.exact) == (None, None, True)
    first, second = result.results
    assert (first.photo, first.similarity) == (photo(worker, 1), None)
    assert second.photo is None
    assert first.score is not None
    assert first.reasons == {RankPart.TEXT: first.score}
    assert {"text", "search", "total"} <= set(result.took_ms)


def test_an_answer_says_what_was_searched_for_instead(worker: WorkerHarness) -> None:
    red = offer(worker, "Red kettle", 1)
    for more in ({}, {"positive": [photo(worker, 1)]}):
        found = searched(worker, text="red kettle", **more)
        assert (found.corrected, found.left_out) == (None, ())
        misspelt = searched(worker, text="red kettel", **more)
        assert (misspelt.corrected, misspelt.left_out) == ("red kettle", ())
        unknown = searched(worker, text="red xylophone", **more)
        assert (unknown.corrected, unknown.left_out) == (None, ("xylophone",))
        assert ids(misspelt) == ids(unknown) == [red]


def test_words_lift_listings_that_have_them(worker: WorkerHarness) -> None:
    plain = offer(worker, "Blue kettle", 1)
    red = offer(worker, "Red kettle", 2)
    unseen = offer(worker, "Red bowl")
    assert ids(searched(worker, positive=[photo(worker, 1)])) == [plain, red]
    rank = {"weights": {"text": 5}}
    result = searched(worker, positive=[photo(worker, 1)], text="red", rank=rank)
    assert ids(result) == [red, unseen, plain]
    assert result.encoder == worker.encoder.spec.label
    last = result.results[-1]
    assert last.reasons is not None
    assert last.reasons[RankPart.TEXT] == 0
    assert last.similarity == pytest.approx(1, abs=1e-3)


def test_what_is_excluded_is_not_found_however_it_looks(worker: WorkerHarness) -> None:
    offer(worker, "Red kettle for parts", 1)
    whole = offer(worker, "Red kettle", 2)
    text = 'kettle -"for parts"'
    assert ids(searched(worker, positive=[photo(worker, 1)], text=text)) == [whole]
    assert ids(searched(worker, text=text)) == [whole]


def test_a_filter_holds_for_words(worker: WorkerHarness) -> None:
    offer(worker, "Red kettle", 1, price=Decimal(20), currency="GBP")
    cheap = offer(worker, "Red kettle", 2, price=Decimal(5), currency="GBP")
    blue = offer(worker, "Blue kettle", 3, price=Decimal(5), attributes={"size": "L"})
    for more in ({}, {"positive": [photo(worker, 1)]}):
        found = searched(worker, text="red", filter={"price_max": "10"}, **more)
        assert ids(found)[0] == cheap
        assert set(ids(found)) <= {cheap, blue}
        wanted = {"attributes": [{"name": "size", "any_of": ["l"]}]}
        assert ids(searched(worker, text="kettle", filter=wanted, **more)) == [blue]


def test_facets_are_of_what_has_the_words(worker: WorkerHarness) -> None:
    offer(worker, "Red kettle", 1, category="Home / Kettles")
    offer(worker, "Blue bowl", 2, category="Home / Bowls")
    facets = [{"name": "category"}]
    for more in ({}, {"positive": [photo(worker, 1)]}):
        (facet,) = searched(worker, text="kettle", facets=facets, **more).facets
        counted = {one.category: one.count for one in facet.categories}
        assert counted == {"Home": 1, "Home / Kettles": 1}
    (facet,) = searched(worker, positive=[photo(worker, 1)], facets=facets).facets
    assert facet.listings == 2


def test_the_listing_searched_with_is_never_found_by_its_words(worker: WorkerHarness) -> None:
    own = offer(worker, "Red kettle", 1)
    other = offer(worker, "Red kettle", 2)
    assert ids(searched(worker, positive=[str(own)], text="red kettle")) == [other]


def test_what_is_similar_enough_is_found(worker: WorkerHarness) -> None:
    same = offer(worker, "Red kettle", 1)
    offer(worker, "Red bowl", 2)
    for more in ({}, {"text": "red"}, {"near": {"latitude": 1, "longitude": 1}, "rank": {}}):
        found = searched(worker, positive=[photo(worker, 1)], min_similarity=0.999, **more)
        assert ids(found) == [same]
        assert found.next_cursor is None


def test_an_order_by_look_stays_as_it_was_to_the_last_bit(worker: WorkerHarness) -> None:
    for seed in range(6):
        offer(worker, f"Thing {seed}", seed, seed + 100)
    plain = searched(worker, positive=[photo(worker, 3)])
    assert all(row.score is None and row.reasons is None for row in plain.results)
    ranked = searched(worker, positive=[photo(worker, 3)], rank={})
    assert ids(ranked) == ids(plain)
    assert [row.similarity for row in ranked.results] == [row.similarity for row in plain.results]


def test_results_differ_as_much_as_is_asked_for(worker: WorkerHarness) -> None:
    first, twin, other = (offer(worker, "Thing", seed) for seed in (1, 1, 2))
    plain = searched(worker, positive=[photo(worker, 1)])
    assert ids(plain) == [*sorted((first, twin)), other]
    diverse = searched(worker, positive=[photo(worker, 1)], diversity={"strength": 0.9})
    assert ids(diverse)[1] == other
    in_words = searched(worker, text="thing", diversity={"strength": 0.9})
    assert in_words.encoder is None
    assert ids(in_words)[:2] != [twin, first]


def test_a_seller_waits_after_its_share(worker: WorkerHarness) -> None:
    mine = [offer(worker, "Thing", 1, seller="Ann") for _ in range(3)]
    other = offer(worker, "Thing", 2, seller="Bob")
    found = searched(worker, positive=[photo(worker, 1)], diversity={"per_seller": 2})
    assert ids(found)[2] == other
    assert sorted(ids(found)) == sorted([*mine, other])


def test_ages_count_from_the_first_page(worker: WorkerHarness) -> None:
    for seed in range(3):
        offer(worker, f"Thing {seed}", seed)
    rank = {"weights": {"freshness": 1}}
    first = searched(worker, positive=[photo(worker, 1)], rank=rank, limit=1)
    assert first.next_cursor
    rest = searched(worker, positive=[photo(worker, 1)], rank=rank, cursor=first.next_cursor)
    whole = searched(worker, positive=[photo(worker, 1)], rank=rank)
    assert ids(first) + ids(rest) == ids(whole)
    scores = [row.reasons for row in (*first.results, *rest.results)]
    assert len({reasons[RankPart.FRESHNESS] for reasons in scores if reasons}) == 1


def test_a_text_that_says_nothing_fails_alone(worker: WorkerHarness) -> None:
    job = worker.do(JobType.SEARCH, {"text": "?!", "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_input")


def test_words_follow_a_listing_at_once(worker: WorkerHarness) -> None:
    listing_id = offer(worker, "Red kettle", 1)
    assert ids(searched(worker, text="red")) == [listing_id]
    with worker.database.write() as session:
        upsert_listings(session, [ListingData(listing_id, "Blue kettle")], worker.now())
    assert ids(searched(worker, text="blue")) == [listing_id]
    worker.delete(listing_id)
    assert ids(searched(worker, text="blue")) == []
