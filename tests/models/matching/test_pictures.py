"""Views and strangers: pictures that are always the same, whatever the photo."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.matching.strangers import EACH, KINDS, SIDE, strangers
from models.matching.views import KEPT_AREA, altered_view
from tests.support.pictures import picture


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90))
def test_a_view_is_a_part_of_a_photo_of_any_size(seed: int, width: int, height: int) -> None:
    photo = Image.new("RGB", (width, height), (200, 30, 40))
    view = altered_view(photo, Random(seed))
    assert view.mode == "RGB"
    assert 1 <= view.width <= width
    assert 1 <= view.height <= height


def test_a_view_shows_most_of_the_photo_in_another_light() -> None:
    photo = picture(1)
    views = [altered_view(photo, Random(seed)) for seed in range(20)]
    areas = [view.width * view.height / (photo.width * photo.height) for view in views]
    assert min(areas) > KEPT_AREA[0] - 0.05
    assert max(areas) < KEPT_AREA[1] + 0.05
    lights = [np.asarray(view, float).mean() for view in views]
    assert max(lights) - min(lights) > 20
    again = altered_view(photo, Random(3))
    assert again.tobytes() == views[3].tobytes()


def test_strangers_are_always_the_same_and_all_different() -> None:
    drawn = strangers()
    assert len(drawn) == EACH * len(KINDS)
    assert {(one.mode, one.size) for one in drawn} == {("RGB", (SIDE, SIDE))}
    assert len({one.tobytes() for one in drawn}) == len(drawn)
    assert [one.tobytes() for one in strangers()] == [one.tobytes() for one in drawn]
