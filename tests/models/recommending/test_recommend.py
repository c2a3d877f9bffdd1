"""From touches to what is recommended, over a catalogue in arrays."""

from dataclasses import replace
from itertools import islice
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.recommendations.events import EventKind, Touch
from models.domain.recommendations.options import NEVER_AGAIN, SourceLimits
from models.domain.searches.options import Diversity, RankPart
from models.recommending.recommend import (
    DEFAULT_OPTIONS,
    Because,
    Recommended,
    Request,
    recommend,
)
from models.recommending.sources import Together
from tests.support.recommending import NOW, ArraySources, listing, sources, touch

COUNT = 24
ANY = settings(max_examples=80, deadline=None, derandomize=True, database=None)
OPTIONS = replace(DEFAULT_OPTIONS, limits=SourceLimits(nearest=4, together=6, popular=5, fresh=5))
NUMBERS = st.integers(0, COUNT - 1)
TOUCHES = st.lists(
    st.builds(touch, NUMBERS, st.sampled_from(list(EventKind)), st.floats(0, 200)), max_size=12
)
DIVERSITIES = st.builds(Diversity, st.sampled_from([0.0, 0.3]), st.sampled_from([None, 1]))


@st.composite
def catalogues(draw: st.DrawFn) -> ArraySources:
    """Some of them popular, sold by few sellers, without a vector or gone."""
    catalogue = sources(COUNT, draw(st.integers(0, 3)))
    for number in draw(st.sets(NUMBERS, max_size=8)):
        one = catalogue.known[listing(number)]
        catalogue.known[listing(number)] = one._replace(
            popularity=draw(st.floats(0, 30)),
            seller=draw(st.sampled_from(["a", "b"])),
            category=draw(st.sampled_from(["x / y", "x / z"])),
        )
    for number in draw(st.sets(NUMBERS, max_size=3) | st.just(set(range(COUNT)))):
        catalogue.rows[number] = 0
    gone = draw(st.sets(NUMBERS, max_size=4))
    pairs = draw(st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(3, 9)), max_size=6))
    return replace(
        catalogue,
        gone=frozenset(map(listing, gone)),
        pairs=[Together(listing(a), listing(b), users) for a, b, users in pairs if a != b],
    )


def numbers(recommended: list[Recommended]) -> list[int]:
    return [one.listing_id.int for one in recommended]


def first(request: Request, catalogue: ArraySources, count: int = 5) -> list[Recommended]:
    return list(islice(recommend(request, catalogue), count))


def test_without_touches_it_is_what_is_new_and_popular() -> None:
    catalogue = sources(40)
    assert numbers(first(Request(NOW), catalogue)) == [39, 38, 37, 36, 35]
    catalogue.known[listing(0)] = catalogue.known[listing(0)]._replace(popularity=1e6)
    (best, *_) = first(Request(NOW), replace(catalogue, known=catalogue.known), 40)
    assert best.because is None
    assert 0 in numbers(first(Request(NOW), catalogue, 40))
    assert catalogue.asked["nearest"] == 0


def test_one_touch_is_enough_to_change_the_answer() -> None:
    catalogue = sources(40)
    warm = first(Request(NOW, [touch(2)]), catalogue)
    assert all(number % 4 == 2 for number in numbers(warm))
    assert {one.because for one in warm} == {Because(listing(2), EventKind.SAVED)}


def test_each_says_which_of_the_touches_led_to_it() -> None:
    touches = [touch(2, EventKind.SAVED), touch(3, EventKind.VIEWED, 0)]
    led = {number % 4: number for number in (2, 3)}
    for one in first(Request(NOW, touches), sources(40), 8):
        assert one.because is not None
        assert one.because.listing_id.int == led[one.listing_id.int % 4]


def test_what_is_bought_together_is_found_however_it_looks() -> None:
    catalogue = replace(sources(40), pairs=[Together(listing(2), listing(1), 50)])
    options = replace(OPTIONS, limits=SourceLimits(nearest=2, together=5, popular=0, fresh=0))
    found = list(recommend(Request(NOW, [touch(2)]), catalogue, options))
    (other,) = [one for one in found if one.listing_id.int == 1]
    assert other.reasons[RankPart.TOGETHER] == pytest.approx(50 / 52)
    assert other.because == Because(listing(2), EventKind.SAVED)


def test_what_is_only_new_or_popular_is_because_of_nothing() -> None:
    options = replace(OPTIONS, limits=SourceLimits(nearest=2, together=0, popular=0, fresh=8))
    found = list(recommend(Request(NOW, [touch(2)]), sources(40), options))
    because = {one.listing_id.int: one.because for one in found}
    # Half as many as for somebody without interests.
    assert [because[number] for number in (39, 38, 37, 36)] == [None] * 4
    assert 35 not in because
    led = [one for one in because.values() if one is not None]
    assert led == [Because(listing(2), EventKind.SAVED)]


def test_a_page_has_what_is_like_its_listing_the_best_for_the_user_first() -> None:
    catalogue = sources(40)
    page = Request(NOW, listing_id=listing(5))
    alike = first(page, catalogue, 9)
    assert all(number % 4 == 1 for number in numbers(alike))
    assert 5 not in numbers(first(page, catalogue, 40))
    assert all(one.because is None for one in alike)
    users = first(replace(page, touches=[touch(9, EventKind.PURCHASED)]), catalogue, 7)
    assert all(number % 4 == 1 for number in numbers(users))
    assert {RankPart.SIMILARITY, RankPart.INTEREST} <= users[0].reasons.keys()


def test_a_page_without_a_photo_is_still_answered() -> None:
    catalogue = sources(12)
    catalogue.rows[5] = 0
    assert len(first(Request(NOW, listing_id=listing(5)), catalogue, 20)) == 11


def test_touches_without_a_photo_lead_to_what_others_touched_beside_them() -> None:
    catalogue = replace(sources(12), pairs=[Together(listing(2), listing(1), 50)])
    catalogue.rows[2] = 0
    (best, *_) = first(Request(NOW, [touch(2)]), catalogue, 20)
    assert catalogue.asked["nearest"] == 0
    assert best.reasons[RankPart.INTEREST] == 0
    catalogue.rows[:] = 0
    catalogue.rows[2, 0] = 1
    assert len(first(Request(NOW, [touch(2)]), catalogue, 20)) == 12


def test_what_was_just_shown_comes_later() -> None:
    catalogue = sources(40)
    before = numbers(first(Request(NOW, [touch(2)]), catalogue, 3))
    shown = [touch(before[0], EventKind.IMPRESSION, 0)]
    after = first(Request(NOW, [touch(2), *shown]), catalogue, 40)
    assert numbers(after).index(before[0]) > 0


def test_ten_thousand_touches_ask_for_few_vectors() -> None:
    rng = np.random.default_rng(0)
    catalogue = sources(400, groups=40)
    touches = [
        touch(int(number), EventKind.VIEWED, float(days))
        for number, days in zip(
            rng.integers(0, 400, 10_000), rng.uniform(0, 180, 10_000), strict=True
        )
    ]
    assert len(first(Request(NOW, touches), catalogue)) == 5
    assert catalogue.asked["nearest"] <= DEFAULT_OPTIONS.interests.max_interests


@ANY
@given(catalogues(), TOUCHES, st.sets(NUMBERS, max_size=3), st.none() | NUMBERS, DIVERSITIES)
def test_nothing_excluded_ever_appears_and_all_parts_are_shares(
    catalogue: ArraySources,
    touches: list[Touch],
    exclude: set[int],
    page: int | None,
    diversity: Diversity,
) -> None:
    options = replace(OPTIONS, diversity=diversity)
    request = Request(
        NOW,
        touches,
        None if page is None else listing(page),
        exclude=[listing(number) for number in exclude],
    )
    found = list(recommend(request, catalogue, options))
    ids = [one.listing_id for one in found]
    assert len(set(ids)) == len(ids)
    banned = {one.listing_id for one in touches if one.kind in NEVER_AGAIN}
    banned |= {*map(listing, exclude), *catalogue.gone}
    banned |= set() if page is None else {listing(page)}
    assert not banned.intersection(ids)
    done = {(one.listing_id, one.kind) for one in touches}
    for one in found:
        assert all(0 <= value <= 1 for value in one.reasons.values())
        weights = {part: options.weights.of(part) for part in one.reasons}
        mean = sum(weights[part] * value for part, value in one.reasons.items())
        assert one.score == pytest.approx(mean / sum(weights.values()))
        assert one.because is None or (one.because.listing_id, one.because.kind) in done
        assert one.because is None or one.because.listing_id != one.listing_id


@ANY
@given(catalogues(), TOUCHES, DIVERSITIES, st.randoms(use_true_random=False))
def test_the_order_of_events_is_no_matter(
    catalogue: ArraySources, touches: list[Touch], diversity: Diversity, random: Random
) -> None:
    options = replace(OPTIONS, diversity=diversity)
    shuffled = list(touches)
    random.shuffle(shuffled)
    order = list(recommend(Request(NOW, touches), catalogue, options))
    assert list(recommend(Request(NOW, shuffled), catalogue, options)) == order


@ANY
@given(catalogues(), TOUCHES, DIVERSITIES, st.integers(1, 7))
def test_pages_are_the_whole_order_cut_into_pieces(
    catalogue: ArraySources, touches: list[Touch], diversity: Diversity, limit: int
) -> None:
    options = replace(OPTIONS, diversity=diversity)
    whole = numbers(list(recommend(Request(NOW, touches), catalogue, options)))
    shown: list[int] = []
    while True:
        request = Request(NOW, touches, shown=[listing(number) for number in shown])
        page = numbers(list(islice(recommend(request, catalogue, options), limit)))
        if not page:
            break
        shown += page
    assert shown == whole
