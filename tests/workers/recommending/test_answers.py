"""What is recommended to whom, and what is said of why; of a real worker, index and database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from db.catalogue.listings import ListingData
from db.catalogue.perceptual_hashes import set_phashes
from db.events.popularity import FLOOR
from models.domain.errors import CursorExpired, InvalidInput, NotFound
from models.domain.filters import ListingFilter
from models.domain.job_results.recommendations import RecommendedListing
from models.domain.job_results.searches import SearchResult
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import DEFAULT_WEIGHTS, NEVER_AGAIN
from models.domain.searches.options import Diversity, Place, Ranking, RankPart
from models.domain.types import JobType, ListingStatus
from models.recommending.whitening import MIN_SAMPLE
from tests.support.payloads import result_as
from tests.support.recommended import Shop, around, shown, without_times
from tests.support.waiting import wait_until
from tests.support.workers import WorkerHarness
from workers.recommending.whitenings import Whitenings

KINDS: Final = 5
EACH: Final = 6
LISTINGS: Final = range(1, KINDS * EACH + 1)


def kind_of(number: int) -> int:
    """The kind of thing that a listing is: those of one kind look alike."""
    return (number - 1) // EACH


@pytest.fixture
def shop(worker: WorkerHarness) -> Shop:
    """Listings of some kinds, the later ones newer by a day each."""
    stocked = Shop(worker)
    for number in LISTINGS:
        listing = ListingData(
            UUID(int=number),
            f"Thing {number}",
            category=f"Kind {kind_of(number)}",
            price=Decimal(10),
            currency="GBP",
            seller=f"seller {number}",
        )
        stocked.put(listing, age_days=len(LISTINGS) - number)
    directions = list(np.eye(worker.encoder.spec.dimension, dtype=np.float32)[:KINDS])
    stocked.show(dict(zip(LISTINGS, around(directions, EACH, 0.05), strict=True)))
    return stocked


def test_nobody_is_shown_what_is_new(shop: Shop) -> None:
    answer = shop.ask(limit=5)
    assert shown(answer) == list(reversed(LISTINGS))[:5]
    assert (answer.encoder, answer.generation) == (None, None)
    assert all(one.because is None and one.similarity is None for one in answer.results)
    # Every listing has its photo, though nothing was compared.
    assert all(one.photo == f"{one.listing_id.int:064x}" for one in answer.results)


def test_a_user_who_did_nothing_is_shown_what_nobody_is(shop: Shop) -> None:
    assert shop.numbers("new here") == shop.numbers()


def test_what_enough_users_touch_is_shown_to_others(shop: Shop) -> None:
    popular = Ranking(replace(DEFAULT_WEIGHTS, popularity=1.0))
    for user in range(FLOOR - 1):
        shop.did(f"user {user}", EventKind.SAVED, 2)
    assert shop.numbers(limit=1, rank=popular) != [2]
    shop.did("one more", EventKind.SAVED, 2)
    answer = shop.ask(limit=1, rank=popular)
    assert shown(answer) == [2]
    assert answer.results[0].reasons[RankPart.POPULARITY] > 0


def test_what_is_near_is_shown_first(shop: Shop) -> None:
    leeds, bath = Place(53.8, -1.55), Place(51.38, -2.36)
    placed = [
        replace(shop.listings[number], latitude=one.latitude, longitude=one.longitude)
        for number, one in ((3, leeds), (30, bath), (4, bath))
    ]
    shop.put(*placed)
    weights = replace(DEFAULT_WEIGHTS, distance=1.0)
    assert shop.numbers(near=leeds, rank=Ranking(weights), limit=1) == [3]
    assert set(shop.numbers(near=bath, rank=Ranking(weights), limit=2)) == {4, 30}


def test_one_saved_listing_changes_the_next_answer(shop: Shop) -> None:
    before = shop.numbers("ann")
    shop.did("ann", EventKind.SAVED, 8)
    answer = shop.ask("ann", limit=EACH - 1)
    assert shown(answer) != before[: EACH - 1]
    assert {kind_of(number) for number in shown(answer)} == {kind_of(8)}
    first = answer.results[0]
    assert first.because
    assert first.because.listing_id.int == 8
    assert (first.because.kind, first.because.title) == (EventKind.SAVED, "Thing 8")
    assert answer.encoder == shop.worker.encoder.spec.label
    assert first.similarity is not None
    assert first.similarity > 0.8


def test_a_user_has_several_interests(shop: Shop) -> None:
    for number in (1, 2, 13, 14):
        shop.did("ann", EventKind.SAVED, number)
    kinds = {kind_of(number) for number in shop.numbers("ann", limit=2 * EACH)}
    assert kinds == {kind_of(1), kind_of(13)}


def test_the_score_is_the_mean_of_its_reasons(shop: Shop) -> None:
    for number in (1, 2, 13):
        shop.did("ann", EventKind.VIEWED, number)
    for one in shop.ask("ann").results:
        weights = {part: DEFAULT_WEIGHTS.of(part) for part in one.reasons}
        total = sum(weights[part] * value for part, value in one.reasons.items())
        assert one.score == pytest.approx(total / sum(weights.values()), abs=1e-5)


def test_what_was_seen_comes_later_or_not_at_all(shop: Shop) -> None:
    shop.did("ann", EventKind.SAVED, 8)
    first = shop.numbers("ann", limit=1)
    shop.did("ann", EventKind.VIEWED, first[0], days_ago=0)
    again = shop.numbers("ann")
    assert again.index(first[0]) > 0
    assert {first[0], 8}.isdisjoint(shop.numbers("ann", exclude_seen=True))


def test_others_change_an_answer_only_above_the_floor(shop: Shop) -> None:
    for number in (8, 9, 20):
        shop.did("ann", EventKind.SAVED, number)
    before = shop.ask("ann")

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(
            st.tuples(
                st.integers(1, FLOOR - 1), st.sampled_from(EventKind), st.sampled_from(LISTINGS)
            ),
            max_size=10,
        )
    )
    def unchanged(did: list[tuple[int, EventKind, int]]) -> None:
        for user, kind, number in did:
            shop.did(f"other {user}", kind, number)
        assert without_times(shop.ask("ann")) == without_times(before)
        for user in range(1, FLOOR):
            shop.forget(f"other {user}")

    unchanged()


def test_who_is_forgotten_is_a_stranger(shop: Shop) -> None:
    stranger = shop.ask("stranger")
    for kind in EventKind:
        shop.did("ann", kind, 8)
    assert shown(shop.ask("ann")) != shown(stranger)
    shop.forget("ann")
    assert without_times(shop.ask("ann")) == without_times(stranger)


def test_what_others_touched_beside_it(shop: Shop) -> None:
    for user in range(FLOOR):
        for number in (1, 25):
            shop.did(f"user {user}", EventKind.VIEWED, number)
    shop.did("ann", EventKind.SAVED, 1)
    (beside,) = [one for one in shop.ask("ann").results if one.listing_id.int == 25]
    assert beside.reasons[RankPart.TOGETHER] > 0
    assert beside.because
    assert beside.because.listing_id.int == 1


def test_all_sources_are_filtered(shop: Shop) -> None:
    for user in range(FLOOR):
        for number in (1, 25, 26):
            shop.did(f"user {user}", EventKind.SAVED, number)
    shop.did("ann", EventKind.SAVED, 1)
    shop.put(replace(shop.listings[26], status=ListingStatus.SOLD))
    kind = ListingFilter(category=f"Kind {kind_of(8)}")
    for asks in (None, "ann"):
        assert {25, 26} & set(shop.numbers(asks)) == {25}
        numbers = shop.numbers(asks, filter=kind)
        assert {kind_of(number) for number in numbers} == {kind_of(8)}
        assert len(numbers) == EACH


def test_an_item_page_shows_what_is_like_its_listing(shop: Shop) -> None:
    answer = shop.ask(listing_id=UUID(int=8), limit=EACH - 1)
    assert {kind_of(number) for number in shown(answer)} == {kind_of(8)}
    assert 8 not in shown(answer)
    for one in answer.results:
        assert one.because
        assert (one.because.listing_id.int, one.because.kind) == (8, None)


def test_an_item_page_is_for_its_user(shop: Shop) -> None:
    shop.did("ann", EventKind.HIDDEN, 9)
    shop.did("ann", EventKind.SAVED, 25)
    numbers = shop.numbers("ann", listing_id=UUID(int=8))
    assert 9 not in numbers
    assert {kind_of(one) for one in numbers[: EACH - 2]} <= {kind_of(8), kind_of(25)}


def test_an_item_page_of_a_listing_that_is_gone(shop: Shop) -> None:
    shop.worker.delete(UUID(int=8))
    with pytest.raises(NotFound):
        shop.ask(listing_id=UUID(int=8))


def test_copies_are_told_by_their_perceptual_hashes(shop: Shop) -> None:
    assert 9 in shop.numbers(listing_id=UUID(int=8))
    with shop.worker.database.write() as session:
        # Photos are numbered as the listings that show them; two bits are others.
        set_phashes(session, {8: 0b1100, 9: 0b0000, 10: -1})
    numbers = shop.numbers(listing_id=UUID(int=8))
    assert 9 not in numbers
    assert 10 in numbers


def test_what_led_to_it_may_be_gone(shop: Shop) -> None:
    shop.did("ann", EventKind.SAVED, 8)
    shop.worker.delete(UUID(int=8))
    first = shop.ask("ann", limit=1).results[0]
    assert kind_of(first.listing_id.int) == kind_of(8)
    assert first.because
    assert (first.because.listing_id.int, first.because.title) == (8, None)


def test_what_a_user_offers_is_not_shown_to_them_even_where_all_that_is_near_is_theirs(
    shop: Shop,
) -> None:
    mine = [one for one in LISTINGS if kind_of(one) == kind_of(8) and one != 8]
    shop.put(*(replace(shop.listings[one], seller="ann") for one in mine))
    shop.did("ann", EventKind.SAVED, 8)
    assert set(mine).isdisjoint(shop.numbers("ann"))
    assert set(mine) <= set(shop.numbers("bob"))


def test_turns_of_sellers_go_on_across_pages(shop: Shop) -> None:
    shop.put(*(replace(shop.listings[one], seller=f"seller {one % 2}") for one in LISTINGS))
    for number in (1, 13):
        shop.did("ann", EventKind.SAVED, number)
    asked: dict[str, Any] = {"diversity": Diversity(0.4, 2)}
    weights = replace(DEFAULT_WEIGHTS, seller=0.5)
    asked["rank"] = Ranking(weights)
    whole = list(pages_of(shop, "ann", 100, asked))
    assert list(pages_of(shop, "ann", 4, asked)) == whole


def pages_of(
    shop: Shop, user: str, limit: int, asked: dict[str, Any]
) -> Iterator[RecommendedListing]:
    cursor = None
    while True:
        page = shop.ask(user, limit=limit, cursor=cursor, **asked)
        yield from page.results
        cursor = page.next_cursor
        if cursor is None:
            return


def test_what_happens_after_the_first_page_orders_nothing_anew(shop: Shop) -> None:
    shop.did("ann", EventKind.SAVED, 8)
    whole = shop.ask("ann")
    page = shop.ask("ann", limit=4)
    for user in range(FLOOR):
        for number in LISTINGS[20:]:
            shop.did(f"user {user}", EventKind.PURCHASED, number)
    shop.did("ann", EventKind.SAVED, 27)
    found = shown(page)
    while page.next_cursor:
        page = shop.ask("ann", limit=4, cursor=page.next_cursor)
        found += shown(page)
    assert found == shown(whole)
    assert shop.numbers("ann") != found


def test_a_cursor_of_another_encoder_has_expired(shop: Shop) -> None:
    shop.did("ann", EventKind.SAVED, 8)
    cursor = shop.ask("ann", limit=2).next_cursor
    _, encoder_id = shop.worker.add_encoder("another")
    shop.worker.activate(encoder_id, force=True)
    with pytest.raises(CursorExpired):
        shop.ask("ann", cursor=cursor)


def test_one_for_nobody_has_no_encoder_that_could_change(shop: Shop) -> None:
    cursor = shop.ask(limit=2).next_cursor
    _, encoder_id = shop.worker.add_encoder("another")
    shop.worker.activate(encoder_id, force=True)
    assert shop.numbers(cursor=cursor, limit=2) == list(reversed(LISTINGS))[2:4]


def test_a_malformed_cursor(shop: Shop) -> None:
    with pytest.raises(InvalidInput):
        shop.ask(cursor="nonsense")


def test_searches_leave_out_what_their_user_has_hidden(shop: Shop) -> None:
    shop.did("ann", EventKind.HIDDEN, 9)
    shop.did("ann", EventKind.PURCHASED, 10)

    def found(**stated: Any) -> list[int]:
        job = shop.worker.do(JobType.SEARCH, {"limit": 100, **stated})
        return [one.listing_id.int for one in result_as(job, SearchResult).results]

    for asked in (
        {"positive": [str(UUID(int=8))]},
        {"text": "thing"},
        {"positive": [str(UUID(int=8))], "text": "thing"},
    ):
        assert 9 in found(**asked)
        its = found(**asked, user=shop.key("ann"))
        assert 9 not in its
        assert 10 in its


@contextmanager
def statements(worker: WorkerHarness) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    executed: list[str] = []

    def record(_: object, __: object, statement: str, *___: object) -> None:
        executed.append(statement)

    event.listen(worker.database.engine, "before_cursor_execute", record)
    yield executed
    event.remove(worker.database.engine, "before_cursor_execute", record)


def test_many_events_take_no_more_statements_than_few(shop: Shop) -> None:
    shop.did("ann", EventKind.SAVED, 8)
    shop.ask("ann")
    with statements(shop.worker) as few:
        shop.ask("ann")
    for number in LISTINGS:
        for kind in set(EventKind) - NEVER_AGAIN:
            shop.did("ann", kind, number)
    with statements(shop.worker) as many:
        shop.ask("ann", limit=10)
    assert len(many) <= len(few) + 3
    assert len(many) < 40


def test_all_workers_compare_alike(shop: Shop) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((MIN_SAMPLE + 50, shop.worker.encoder.spec.dimension))
    rows = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    first = len(LISTINGS) + 1
    numbers = range(first, first + len(rows))
    shop.put(*(ListingData(UUID(int=one), "More") for one in numbers))
    assert shop.worker.runtime.whitenings.of(shop.worker.encoder_id) is None
    shop.show(dict(zip(numbers, rows, strict=True)))
    whitenings = shop.worker.runtime.whitenings
    wait_until(lambda: whitenings.of(shop.worker.encoder_id) is not None)
    one = whitenings.of(shop.worker.encoder_id)
    other = Whitenings(shop.worker.database).of(shop.worker.encoder_id)
    assert one
    assert other
    assert np.array_equal(one.matrix, other.matrix)
    shop.did("ann", EventKind.SAVED, 8)
    assert shop.numbers("ann") == shop.numbers("ann")


def test_a_listing_that_is_sold_and_comes_back(shop: Shop) -> None:
    shop.did("ann", EventKind.SAVED, 8)
    shop.put(replace(shop.listings[9], status=ListingStatus.RESERVED))
    assert 9 not in shop.numbers("ann")
    shop.put(replace(shop.listings[9], status=ListingStatus.ACTIVE))
    assert 9 in shop.numbers("ann")
