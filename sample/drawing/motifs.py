"""Single printed motifs, for cloth, labels and stickers."""

from collections.abc import Callable
from random import Random

import numpy as np

from sample.drawing.canvas import Canvas
from sample.drawing.colours import CHALK, INK, RGB, Colour, is_dark, mix
from sample.drawing.outlines import (
    Points,
    arc,
    heart,
    moved,
    oval,
    polygon,
    smooth,
    star,
    turned,
)

Motif = Callable[[Canvas, float, float, float, RGB, RGB], None]
"""Draws on a canvas about (x, y), `size` pixels from the middle to the edge, in two colours."""


def motifs() -> dict[str, Motif]:
    """Every motif by the words for it."""
    return {
        "a star": _star,
        "a heart": _heart,
        "a sun": _sun,
        "mountains": _mountains,
        "a smiley": _smiley,
        "a lightning bolt": _bolt,
        "a daisy": _daisy,
        "a cat": _cat,
        "a rocket": _rocket,
        "a fish": _fish,
        "an anchor": _anchor,
        "a mushroom": _mushroom,
        "a cactus": _cactus,
        "a sailing boat": _boat,
        "a rainbow": _rainbow,
        "a target": _target,
    }


def any_motif(
    canvas: Canvas, rng: Random, x: float, y: float, size: float, one: RGB, two: RGB
) -> str:
    """Draws one of the motifs and says which."""
    words, motif = rng.choice(list(motifs().items()))
    motif(canvas, x, y, size, one, two)
    return words


def print_colours(rng: Random, ground: Colour) -> tuple[RGB, RGB]:
    """Two colours for a motif that both show on the ground colour."""
    light = rng.choice((CHALK, (248, 214, 90), (150, 216, 206), (246, 160, 170)))
    deep = rng.choice(((190, 40, 52), (36, 82, 160), INK, (34, 110, 90), (110, 52, 140)))
    return (light, deep) if is_dark(ground.rgb) else (deep, light)


def _flat(canvas: Canvas, outline: Points, colour: RGB) -> None:
    canvas.fill(outline, colour, rim=0)


def _star(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    _flat(canvas, star(x, y, size, 5), one)
    _flat(canvas, star(x, y, size * 0.55, 5), two)


def _heart(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    _flat(canvas, heart(x, y, size), one)
    _flat(canvas, heart(x, y, size * 0.55), two)


def _sun(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    _flat(canvas, star(x, y, size, 12, 0.72), one)
    _flat(canvas, oval(x, y, size * 0.5), two)


def _mountains(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    ring = oval(x, y, size)
    _flat(canvas, ring, two)
    for dx, height in ((-0.45, 0.2), (0.3, 0.55)):
        top = (x + dx * size, y - height * size)
        peak = polygon(top, (top[0] + size, y + size), (top[0] - size, y + size))
        canvas.fill(peak, one, rim=0, within=ring)
        cap = polygon(
            top,
            (top[0] + size * 0.2, top[1] + size * 0.26),
            (top[0], top[1] + size * 0.18),
            (top[0] - size * 0.2, top[1] + size * 0.26),
        )
        canvas.fill(cap, CHALK, rim=0, within=ring)


def _smiley(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    _flat(canvas, oval(x, y, size), one)
    for side in (-1, 1):
        _flat(canvas, oval(x + side * size * 0.35, y - size * 0.25, size * 0.1, size * 0.18), two)
    canvas.stroke(arc(x, y + size * 0.05, size * 0.55, size * 0.5, 20, 160), size * 0.13, two)


def _bolt(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    shape = (
        polygon((0.2, -1), (-0.55, 0.15), (-0.05, 0.15), (-0.25, 1), (0.55, -0.25), (0.05, -0.25))
        * size
    )
    _flat(canvas, oval(x, y, size), two)
    _flat(canvas, moved(shape * 0.85, x, y), one)


def _daisy(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    petal = oval(x, y - size * 0.62, size * 0.2, size * 0.38)
    for step in range(9):
        _flat(canvas, turned(petal, step * 40, (x, y)), one)
    _flat(canvas, oval(x, y, size * 0.3), two)


def _cat(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    for side in (-1, 1):
        ear = polygon((0.15, -0.5), (0.75, -1), (0.8, -0.1)) * (side * size, size)
        _flat(canvas, moved(ear, x, y), one)
    _flat(canvas, oval(x, y + size * 0.1, size * 0.85, size * 0.72), one)
    for side in (-1, 1):
        _flat(canvas, oval(x + side * size * 0.35, y, size * 0.1, size * 0.15), two)
        for lift in (-0.06, 0.06):
            whisker = polygon((0.15, 0.3), (0.75, 0.3 + lift * 2)) * (side * size, size)
            canvas.stroke(moved(whisker, x, y), size * 0.04, two)
    _flat(canvas, oval(x, y + size * 0.27, size * 0.1, size * 0.07), two)


def _rocket(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    fins = polygon((-0.55, 0.75), (-0.25, 0.1), (0.25, 0.1), (0.55, 0.75)) * size
    _flat(canvas, moved(fins, x, y), two)
    flame = polygon((-0.18, 0.6), (0, 1), (0.18, 0.6)) * size
    _flat(canvas, moved(flame, x, y), (246, 176, 56))
    hull = smooth((0, -1), (0.34, -0.2), (0.25, 0.65), (-0.25, 0.65), (-0.34, -0.2)) * size
    _flat(canvas, moved(hull, x, y), one)
    _flat(canvas, oval(x, y - size * 0.2, size * 0.15), two)


def _fish(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    tail = polygon((0.45, 0), (1, -0.45), (0.85, 0), (1, 0.45)) * size
    _flat(canvas, moved(tail, x, y), two)
    _flat(canvas, oval(x - size * 0.2, y, size * 0.75, size * 0.45), one)
    for step in (-0.1, 0.15):
        canvas.stroke(arc(x + step * size, y, size * 0.14, size * 0.34, -80, 80), size * 0.07, two)
    _flat(canvas, oval(x - size * 0.62, y - size * 0.1, size * 0.09), two)


def _anchor(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    _flat(canvas, oval(x, y, size), two)
    width = size * 0.14
    canvas.stroke(polygon((x, y - size * 0.45), (x, y + size * 0.7)), width, one)
    canvas.stroke(
        polygon((x - size * 0.3, y - size * 0.2), (x + size * 0.3, y - size * 0.2)), width, one
    )
    canvas.stroke(arc(x, y + size * 0.1, size * 0.55, size * 0.6, 0, 180), width, one)
    canvas.ring(oval(x, y - size * 0.6, size * 0.16), width * 0.7, one)


def _mushroom(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    stem = smooth((-0.25, -0.1), (0.25, -0.1), (0.35, 0.8), (0, 0.95), (-0.35, 0.8)) * size
    _flat(canvas, moved(stem, x, y), two)
    cap = np.concatenate([arc(x, y, size * 0.95, size * 0.95, 180, 360)])
    _flat(canvas, cap, one)
    for dx, dy, r in ((-0.45, -0.35, 0.16), (0.1, -0.6, 0.2), (0.5, -0.25, 0.14)):
        _flat(canvas, oval(x + dx * size, y + dy * size, r * size), two)


def _cactus(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    canvas.stroke(polygon((x, y - size * 0.75), (x, y + size * 0.5)), size * 0.42, one)
    for side, low, high in ((-1, 0.1, -0.4), (1, 0.25, -0.2)):
        arm = polygon((0, low), (0.6, low), (0.6, high)) * (side * size, size)
        canvas.stroke(moved(arm, x, y), size * 0.25, one)
    pot = polygon((-0.5, 0.45), (0.5, 0.45), (0.38, 1), (-0.38, 1)) * size
    _flat(canvas, moved(pot, x, y), two)


def _boat(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    hull = polygon((-0.9, 0.35), (0.9, 0.35), (0.55, 0.8), (-0.6, 0.8)) * size
    _flat(canvas, moved(hull, x, y), two)
    _flat(canvas, moved(polygon((0.05, -1), (0.05, 0.25), (0.8, 0.25)) * size, x, y), one)
    _flat(canvas, moved(polygon((-0.08, -0.7), (-0.08, 0.25), (-0.65, 0.25)) * size, x, y), one)


def _rainbow(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    bands = (one, mix(one, CHALK, 0.5), two, mix(two, CHALK, 0.5))
    for step, colour in enumerate(bands):
        radius = size * (0.9 - 0.19 * step)
        canvas.stroke(arc(x, y + size * 0.4, radius, radius, 180, 360), size * 0.17, colour)


def _target(canvas: Canvas, x: float, y: float, size: float, one: RGB, two: RGB) -> None:
    for step in range(4):
        _flat(canvas, oval(x, y, size * (1 - step * 0.25)), two if step % 2 else one)
