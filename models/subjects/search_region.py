"""The part of a photo to search by, when only its subject is asked for."""

from typing import Final

from models.domain.regions import MIN_SIDE, Region
from models.subjects.find import Subjects

LARGE: Final = 0.4
"""A subject whose box has so much of the photo is searched for in all of it.

There is little around it to mislead, and cutting that off lost precision; see decision 0038.
"""
FILLED: Final = 0.8
"""The same for the extent of all that stands out: then the box is only a part of the subject."""
MARGIN: Final = 0.05
"""Added on each side of the box, as a share of its own."""
MOST_OBLONG: Final = 4 / 3
"""The most that one side is longer than the other, where the photo has room: encoders look at the
middle square."""


def search_region(subjects: Subjects, width: int, height: int) -> Region | None:
    """The box of the first subject in a photo of this size, with some room; None for all of it."""
    if not subjects.found or min(width, height) < MIN_SIDE:
        return None
    box = subjects.found[0].region
    if _area(box) >= LARGE or _area(subjects.extent) >= FILLED:
        return None
    across, down = box.w * width * (1 + 2 * MARGIN), box.h * height * (1 + 2 * MARGIN)
    least = max(across, down, MIN_SIDE * MOST_OBLONG + 1) / MOST_OBLONG
    x, w = _span(box.x + box.w / 2, max(across, least) / width)
    y, h = _span(box.y + box.h / 2, max(down, least) / height)
    return Region(x, y, w, h)


def _area(box: Region) -> float:
    return box.w * box.h


def _span(middle: float, length: float) -> tuple[float, float]:
    """Where a span about `middle` begins within [0, 1], and how long it is."""
    length = min(length, 1.0)
    return min(max(0.0, middle - length / 2), 1 - length), length
