"""Parts of photos."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.domain.errors import InvalidPhoto
from models.domain.regions import MIN_SIDE, Region


def test_a_region_is_cut_where_it_says() -> None:
    photo = Image.new("RGB", (200, 100), "white")
    photo.paste("red", (50, 20, 150, 80))
    cut = Region(0.25, 0.2, 0.5, 0.6).crop(photo)
    assert cut.size == (100, 60)
    assert cut.getcolors() == [(6000, (255, 0, 0))]


def test_all_of_a_photo_is_a_region() -> None:
    assert Region(0, 0, 1, 1).box(200, 100) == (0, 0, 200, 100)


def test_too_little_is_refused() -> None:
    with pytest.raises(InvalidPhoto, match="15 x 30 pixels"):
        Region(0, 0, 0.075, 0.3).box(200, 100)
    assert Region(0, 0, 0.08, 0.3).box(200, 100) == (0, 0, 16, 30)


@settings(deadline=None, derandomize=True, database=None)
@given(*(st.floats(0, 1) for _ in range(4)), st.integers(1, 600), st.integers(1, 600))
def test_no_region_leaves_the_photo(
    x: float, y: float, w: float, h: float, width: int, height: int
) -> None:
    region = Region(x, y, min(w, 1 - x), min(h, 1 - y))
    try:
        left, upper, right, lower = region.box(width, height)
    except InvalidPhoto:
        return
    assert 0 <= left <= right - MIN_SIDE <= width - MIN_SIDE
    assert 0 <= upper <= lower - MIN_SIDE <= height - MIN_SIDE
