"""From touches to what is recommended, over a catalogue in arrays."""

from itertools import islice

from models.recommending.recommend import Request, recommend
from tests.support.recommending import NOW, listing, sources, touch


def test_one_touch_is_enough_to_change_the_answer() -> None:
    catalogue = sources(40)
    cold = list(islice(recommend(Request(NOW), catalogue), 5))
    warm = list(islice(recommend(Request(NOW, [touch(2)]), catalogue), 5))
    assert [one.listing_id for one in cold] == [listing(number) for number in range(39, 34, -1)]
    assert all(one.listing_id.int % 4 == 2 for one in warm)
    assert {one.because.listing_id for one in warm if one.because} == {listing(2)}
