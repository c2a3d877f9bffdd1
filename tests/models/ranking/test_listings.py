"""From photos that match to listings in order."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.errors import InvalidInput
from models.domain.types import ListingMatch, Match
from models.ranking.listings import best_listings

A, B, C, D = (UUID(int=number) for number in range(4))


class Shown:
    """Photos by listing; what is looked up is counted."""

    def __init__(self, photos: Mapping[UUID, Collection[int]]) -> None:
        self.photos = photos
        self.looked_up = 0
        self.look_ups = 0

    def listings_of(self, photo_ids: Collection[int]) -> Mapping[int, Sequence[UUID]]:
        self.looked_up += len(photo_ids)
        self.look_ups += 1
        return {
            photo_id: [listing for listing, shown in self.photos.items() if photo_id in shown]
            for photo_id in photo_ids
        }

    def photos_of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        return {listing: self.photos[listing] for listing in listing_ids}


def matching(**similarity: float) -> Iterator[Match]:
    """Matches of photos `p1`, `p2`, ... in their order."""
    found = (Match(int(name[1:]), value) for name, value in similarity.items())
    return iter(sorted(found, key=lambda match: (-match.similarity, match.photo_id)))


def found(matches: list[ListingMatch] | None) -> list[UUID]:
    assert matches is not None
    return [match.listing_id for match in matches]


def test_a_listing_comes_once_by_its_best_photo() -> None:
    shown = Shown({A: [1, 4], B: [2], C: [3]})
    best = best_listings(matching(p4=0.9, p2=0.8, p1=0.7, p3=0.1), shown, 10)
    assert best == [ListingMatch(A, 4, 0.9), ListingMatch(B, 2, 0.8), ListingMatch(C, 3, 0.1)]


def test_equals_are_ordered_by_photo_then_by_listing() -> None:
    shown = Shown({C: [1], B: [2], A: [2], D: [1]})
    assert found(best_listings(matching(p2=0.5, p1=0.5), shown, 10)) == [C, D, A, B]


def test_photos_that_lead_nowhere_never_make_a_page_short() -> None:
    shown = Shown({A: [5_000], B: [9_000]})
    endless = (Match(number, 1 / (number + 1)) for number in count())
    assert found(best_listings(endless, shown, 2)) == [A, B]
    assert shown.look_ups < 15


def test_gives_up_when_its_patience_ends() -> None:
    shown = Shown({A: [0], B: [9_000]})
    endless = (Match(number, 1 / (number + 1)) for number in count())
    assert best_listings(endless, shown, 2, patience=100) is None
    assert 100 <= shown.looked_up < 300


def test_patience_is_not_needed_for_what_is_at_hand() -> None:
    shown = Shown({A: [0]})
    assert found(best_listings(matching(p0=1.0), shown, 1, patience=1)) == [A]


def test_excluded_are_left_out() -> None:
    shown = Shown({A: [1], B: [2], C: [3]})
    best = best_listings(matching(p1=0.9, p2=0.8, p3=0.7), shown, 2, exclude={A, C})
    assert found(best) == [B]


def test_a_page_goes_on_where_the_one_before_ended() -> None:
    shown = Shown({A: [1, 4], B: [2], C: [3], D: [2, 5]})
    photos = {"p1": 0.9, "p2": 0.8, "p3": 0.7, "p4": 0.6, "p5": 0.5}
    first = best_listings(matching(**photos), shown, 2)
    assert found(first) == [A, B]
    assert first
    # A is not found again by its other photo, nor is D lost that shows the same photo as B.
    assert found(best_listings(matching(**photos), shown, 2, after=first[-1])) == [D, C]


def test_the_listing_that_a_page_ended_with_is_not_found_by_what_it_shows_since() -> None:
    last = ListingMatch(A, 1, 0.9)
    assert found(
        best_listings(matching(p1=0.9, p4=0.6), Shown({A: [4], B: [4]}), 2, after=last)
    ) == [B]


def test_deep_pages_look_up_no_more_than_shallow_ones() -> None:
    listings = {UUID(int=number): [number] for number in range(1_000)}
    shown = Shown(listings)
    photos = [Match(number, 1 - number / 1_000) for number in range(1_000)]
    last = ListingMatch(UUID(int=899), 899, photos[899].similarity)
    assert found(best_listings(iter(photos), shown, 5, after=last)) == list(listings)[900:905]
    assert shown.looked_up < 50


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.lists(
        st.lists(st.integers(0, 12), min_size=1, max_size=4, unique=True), min_size=1, max_size=9
    ),
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75]), min_size=13, max_size=13),
    st.integers(1, 4),
)
def test_pages_together_hold_every_listing_once_in_order(
    albums: list[list[int]], similarities: list[float], limit: int
) -> None:
    photos = {UUID(int=number): album for number, album in enumerate(albums)}
    matches = [Match(number, similarity) for number, similarity in enumerate(similarities)]
    matches.sort(key=lambda match: (-match.similarity, match.photo_id))
    expected = sorted(
        (
            min((-similarities[photo], photo, listing) for photo in album)
            for listing, album in photos.items()
        ),
    )
    got: list[ListingMatch] = []
    while page := best_listings(
        iter(matches), Shown(photos), limit, after=got[-1] if got else None
    ):
        got += page
    assert [match.place for match in got] == expected


def test_no_page_is_endlessly_deep() -> None:
    endless = (Match(photo_id, 0.5) for photo_id in count(1))
    with pytest.raises(InvalidInput, match="10,000"):
        best_listings(endless, Shown({A: [1]}), 1, after=ListingMatch(A, 0, -1.0))
