"""Outlines and paths on the drawing square, as `(n, 2)` arrays of x, y pixels; y points down."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Pair = tuple[float, float]

_OVAL_STEPS = 72
_CURVE_STEPS = 14
_CORNER_STEPS = 8


def polygon(*points: Pair) -> Points:
    """Straight lines through the points, in order."""
    return np.asarray(points, dtype=np.float64)


def box(left: float, top: float, right: float, bottom: float, radius: float = 0) -> Points:
    """An upright rectangle, its corners rounded by `radius`."""
    corners = polygon((left, top), (right, top), (right, bottom), (left, bottom))
    return rounded(corners, radius) if radius else corners


def oval(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    """An ellipse about (x, y); a circle when `ry` is left out."""
    return arc(x, y, rx, rx if ry is None else ry, 0, 360)


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Part of an ellipse, from `start` to `end` degrees, clockwise from three o'clock."""
    angles = np.radians(np.linspace(start, end, _OVAL_STEPS))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def smooth(*points: Pair, closed: bool = True) -> Points:
    """A Catmull-Rom curve through the points."""
    knots = polygon(*points)
    around = (
        np.concatenate([knots[-1:], knots, knots[:2]])
        if closed
        else np.concatenate([knots[:1], knots, knots[-1:]])
    )
    t = np.linspace(0, 1, _CURVE_STEPS, endpoint=False)[:, None]
    pieces = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(around, around[1:], around[2:], around[3:], strict=False)
    ]
    return np.concatenate(pieces if closed else [*pieces, knots[-1:]])


def rounded(corners: Points, radius: float) -> Points:
    """The polygon with every corner replaced by a curve that starts `radius` before it."""
    t = np.linspace(0, 1, _CORNER_STEPS)[:, None]
    turns = []
    for before, corner, after in zip(
        np.roll(corners, 1, axis=0), corners, np.roll(corners, -1, axis=0), strict=True
    ):
        start = corner + _towards(corner, before, radius)
        end = corner + _towards(corner, after, radius)
        turns.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.concatenate(turns)


def mirrored(x: float, half: Points) -> Points:
    """A symmetric outline from its right half, given from top to bottom as offsets from `x`."""
    right = moved(half, x, 0)
    left = moved(half[::-1] * (-1, 1), x, 0)
    return np.concatenate([right, left])


def profile(x: float, *half: Pair) -> Points:
    """A symmetric outline whose right half is a smooth curve through `half`, offsets from `x`."""
    return mirrored(x, smooth(*half, closed=False))


def star(x: float, y: float, radius: float, points: int, depth: float = 0.45) -> Points:
    """A star whose inner corners lie at `depth` of its radius."""
    angles = np.arange(2 * points) * math.pi / points - math.pi / 2
    radii = np.where(np.arange(2 * points) % 2, radius * depth, radius)
    return np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)


def heart(x: float, y: float, size: float) -> Points:
    """A heart about as wide and as high as twice `size`."""
    t = np.linspace(0, 2 * math.pi, _OVAL_STEPS, endpoint=False)
    across = 16 * np.sin(t) ** 3
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x + across * size / 16, y + down * size / 16], axis=1)


def turned(points: Points, degrees: float, about: Pair) -> Points:
    """The points turned clockwise about a centre."""
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    centre = np.asarray(about)
    turned_points: Points = (points - centre) @ matrix + centre
    return turned_points


def moved(points: Points, dx: float, dy: float) -> Points:
    """The points shifted."""
    shifted: Points = points + np.array([dx, dy])
    return shifted


def patch(quad: Points, left: float, top: float, right: float, bottom: float) -> Points:
    """A rectangle in the unit square, laid on a four-cornered face (clockwise from top left)."""
    return np.stack(
        [on(quad, u, v) for u, v in ((left, top), (right, top), (right, bottom), (left, bottom))]
    )


def on(quad: Points, u: float, v: float) -> Points:
    """The point at (u, v) of a four-cornered face, as an array of two."""
    top = quad[0] * (1 - u) + quad[1] * u
    bottom = quad[3] * (1 - u) + quad[2] * u
    point: Points = top * (1 - v) + bottom * v
    return point


def dashes(path: Points, dash: float, gap: float) -> list[Points]:
    """The path cut into dashes of equal length."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    along = np.concatenate([[0], np.cumsum(steps)])
    starts = np.arange(0, along[-1], dash + gap)
    return [_between(path, along, start, min(start + dash, along[-1])) for start in starts]


def closed(outline: Points) -> Points:
    """The outline as a path that ends where it starts."""
    return np.concatenate([outline, outline[:1]])


def frame(outlines: Sequence[Points], margin: float = 0) -> tuple[int, int, int, int]:
    """The whole-pixel rectangle around the outlines: left, top, right, bottom."""
    every = np.concatenate(outlines)
    left, top = np.floor(every.min(axis=0) - margin).astype(int)
    right, bottom = np.ceil(every.max(axis=0) + margin).astype(int) + 1
    return int(left), int(top), int(right), int(bottom)


def _between(path: Points, along: Points, start: float, end: float) -> Points:
    places = np.array([start, (start + end) / 2, end])
    return np.stack([np.interp(places, along, path[:, axis]) for axis in (0, 1)], axis=1)


def _towards(start: Points, end: Points, distance: float) -> Points:
    step = end - start
    length = float(np.hypot(*step))
    limited: Points = step * (min(distance, length / 2) / max(length, 1e-9))
    return limited
