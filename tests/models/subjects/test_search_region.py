"""The part of a photo that is searched by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.domain.regions import MIN_SIDE, Region
from models.subjects.find import Subject, Subjects
from models.subjects.search_region import FILLED, LARGE, MARGIN, MOST_OBLONG, search_region

WHOLE = Region(0, 0, 1, 1)


@st.composite
def boxes(draw: st.DrawFn) -> Region:
    x, y = (draw(st.floats(0, 0.99)) for _ in range(2))
    w, h = (draw(st.floats(0.005, 1)) for _ in range(2))
    return Region(x, y, min(w, 1 - x), min(h, 1 - y))


def showing(box: Region, extent: Region | None = None) -> Subjects:
    return Subjects((Subject(box, 1.0),), extent or box, 2.0)


@given(boxes(), st.integers(1, 600), st.integers(1, 600))
def test_it_is_in_the_photo_holds_the_subject_and_can_be_cut(
    box: Region, width: int, height: int
) -> None:
    region = search_region(showing(box), width, height)
    if region is None:
        assert box.w * box.h >= LARGE or min(width, height) < MIN_SIDE
        return
    assert -1e-9 <= region.x <= box.x + 1e-9
    assert -1e-9 <= region.y <= box.y + 1e-9
    assert box.x + box.w <= region.x + region.w + 1e-9
    assert box.y + box.h <= region.y + region.h + 1e-9
    assert max(region.x + region.w, region.y + region.h) <= 1 + 1e-9
    assert region.crop(Image.new("RGB", (width, height))).size >= (MIN_SIDE, MIN_SIDE)
    across, down = region.w * width, region.h * height
    # Where it is more oblong than that, the photo has no more room.
    if across > MOST_OBLONG * down + 1e-6:
        assert region.h == pytest.approx(1)
    if down > MOST_OBLONG * across + 1e-6:
        assert region.w == pytest.approx(1)


def test_it_has_a_little_room_about_the_subject() -> None:
    region = search_region(showing(Region(0.3, 0.3, 0.4, 0.4)), 400, 400)
    assert region
    assert region.x == pytest.approx(0.3 - 0.4 * MARGIN)
    assert region.w == pytest.approx(0.4 * (1 + 2 * MARGIN))


def test_a_long_thing_is_cut_with_what_is_beside_it() -> None:
    region = search_region(showing(Region(0.4, 0.1, 0.1, 0.7)), 300, 300)
    assert region
    assert region.h / region.w == pytest.approx(MOST_OBLONG)


def test_a_photo_that_is_filled_is_searched_for_as_it_is() -> None:
    small = Region(0.4, 0.4, 0.2, 0.2)
    assert search_region(showing(small, Region(0, 0, 1, FILLED - 0.01)), 300, 300)
    for subjects in (
        showing(Region(0, 0, 1, LARGE)),
        showing(small, Region(0, 0, 1, FILLED)),
        Subjects((), WHOLE, 0.0),
    ):
        assert search_region(subjects, 300, 300) is None
