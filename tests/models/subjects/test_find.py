"""The subjects of a photo, from maps that are made here."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.domain.regions import Region
from models.encoders.encoder import FeatureMap
from models.subjects.find import (
    GRID,
    LEAST_OF_FIRST,
    MOST_SUBJECTS,
    Subjects,
    find_subjects,
    otsu_threshold,
    salience,
)

Cells = NDArray[np.float32]

cells = arrays.arrays(
    np.float32,
    st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(1, 5)),
    elements=st.floats(0, 8, width=16),
)
alignments = st.sampled_from([(3 / 224, 32 / 224), (3 / 260, 32 / 260), (0.1, 0.12), (0.0, 0.5)])


def centred(made: Cells) -> FeatureMap:
    """A map whose cells cover a square photo evenly."""
    return FeatureMap(made, 0.5 / len(made), 1 / len(made))


def scene(*blocks: tuple[slice, slice], side: int = 8, strength: float = 5) -> FeatureMap:
    """A photo of one background, with things of other kinds in these blocks."""
    made = np.zeros((side, side, 1 + len(blocks)), np.float32)
    made[..., 0] = 1
    for kind, block in enumerate(blocks, 1):
        made[block] = 0
        made[(*block, kind)] = strength / kind
    return centred(made)


def inside(box: Region) -> bool:
    return (
        min(box.x, box.y) >= 0
        and min(box.w, box.h) > 0
        and max(box.x + box.w, box.y + box.h) <= 1 + 1e-9
    )


@given(cells, alignments)
def test_boxes_are_in_the_photo(made: Cells, alignment: tuple[float, float]) -> None:
    subjects = find_subjects(FeatureMap(made, *alignment))
    boxes = [subjects.extent, *(one.region for one in subjects.found)]
    assert all(inside(box) for box in boxes)
    assert len(subjects.found) <= MOST_SUBJECTS
    shares = [one.share for one in subjects.found]
    assert shares == sorted(shares, reverse=True)
    assert all(share > 0 for share in shares)
    assert sum(shares) <= 1 + 1e-9
    for box in boxes[1:]:
        assert subjects.extent.x <= box.x
        assert subjects.extent.y <= box.y
        assert box.x + box.w <= subjects.extent.x + subjects.extent.w + 1e-9


@given(cells, st.integers(-12, 12))
def test_how_strong_activations_are_does_not_matter(made: Cells, power: int) -> None:
    # Powers of two, by which floating-point numbers are multiplied exactly.
    assert find_subjects(centred(made * np.float32(2.0**power))) == find_subjects(centred(made))


@given(cells)
def test_the_same_map_has_the_same_subjects(made: Cells) -> None:
    again = made.copy()
    assert find_subjects(centred(made)) == find_subjects(centred(again))
    np.testing.assert_array_equal(made, again)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
def test_what_differs_from_the_border_is_the_subject(
    top: int, left: int, height: int, width: int
) -> None:
    block = np.s_[top : min(top + height, 7), left : min(left + width, 7)]
    (found,) = find_subjects(scene(block)).found
    box = found.region
    for start, end, span in ((box.y, box.y + box.h, block[0]), (box.x, box.x + box.w, block[1])):
        # From within its first cell to within its last, and no cell beyond.
        assert span.start - 1 <= start * 8 <= span.start + 1
        assert span.stop - 1 <= end * 8 <= span.stop + 1
    assert found.share == 1


@given(cells)
def test_a_mirrored_photo_has_mirrored_subjects(made: Cells) -> None:
    square = made[: min(made.shape[:2]), : min(made.shape[:2])]
    # Rounding may decide between equals.
    square = square + np.random.default_rng(0).random(square.shape, np.float32)
    ahead, mirrored = (find_subjects(centred(one)) for one in (square, square[:, ::-1].copy()))
    for one, other in zip(ahead.found, mirrored.found, strict=True):
        flipped = Region(1 - one.region.x - one.region.w, one.region.y, one.region.w, one.region.h)
        assert np.allclose(
            [flipped.x, flipped.y, flipped.w, flipped.h],
            [other.region.x, other.region.y, other.region.w, other.region.h],
        )
    assert ahead.contrast == pytest.approx(mirrored.contrast)


def test_things_apart_are_subjects_of_their_own_the_stronger_first() -> None:
    weak, strong = np.s_[1:3, 1:3], np.s_[5:7, 5:7]
    first, second = find_subjects(scene(strong, weak, strength=8)).found
    assert first.region.x > 0.5 > second.region.x + second.region.w
    assert first.share > second.share > LEAST_OF_FIRST * first.share


def test_what_is_next_to_nothing_beside_the_first_is_left_out() -> None:
    made = np.zeros((8, 8, 2), np.float32)
    made[..., 0] = 1
    made[1:5, 1:5] = (0, 6)
    made[6, 6] = (0, 6)
    assert len(find_subjects(centred(made)).found) == 1


@pytest.mark.parametrize("value", [0.0, 1.0, 7.5])
def test_a_photo_that_is_alike_everywhere_has_no_subject(value: float) -> None:
    flat = np.full((7, 7, 16), value, np.float32)
    assert find_subjects(centred(flat)) == Subjects((), Region(0, 0, 1, 1), 0.0)


def test_the_clearer_the_subject_the_higher_its_contrast() -> None:
    block = np.s_[3:5, 3:5]
    contrasts = [find_subjects(scene(block, strength=s)).contrast for s in (0.5, 1, 2, 4)]
    assert contrasts == sorted(contrasts)
    assert contrasts[0] < 1 < contrasts[-1]


def test_cells_stand_where_the_network_has_them() -> None:
    """ResNet's first cell is centred at the edge: what it sees is nearer to that than it looks."""
    made = np.zeros((7, 7, 2), np.float32)
    made[..., 0] = 1
    made[3, 1] = (0, 9)
    (found,) = find_subjects(FeatureMap(made, 3 / 224, 32 / 224)).found
    middle = found.region.x + found.region.w / 2
    assert middle == pytest.approx((3 + 32) / 224, abs=1 / GRID)


def test_salience_without_a_border_is_activation() -> None:
    made = np.zeros((5, 5, 2), np.float32)
    made[2, 2] = (3, 4)
    np.testing.assert_array_equal(salience(made)[2], [0, 0, 5, 0, 0])


@given(
    st.lists(st.integers(-20, 20), min_size=2, max_size=12).filter(lambda them: len({*them}) > 1)
)
def test_the_threshold_parts_with_least_variance_within(values: list[int]) -> None:
    def within(threshold: float) -> float:
        lower = [one for one in values if one < threshold]
        upper = [one for one in values if one >= threshold]
        return sum(len(part) * float(np.var(part)) for part in (lower, upper))

    found = otsu_threshold(np.array(values, np.float64))
    assert min(values) < found <= max(values)
    best = min(within(value) for value in {*values} - {min(values)})
    assert within(found) == pytest.approx(best)
