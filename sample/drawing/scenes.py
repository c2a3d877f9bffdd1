"""Whole printed pictures, for covers and screens."""

import math
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image

from sample.drawing.canvas import SIZE, Canvas
from sample.drawing.colours import CHALK, INK, RGB, any_colour, darker, lighter, mix
from sample.drawing.finishes import fade
from sample.drawing.motifs import motifs
from sample.drawing.outlines import (
    Points,
    arc,
    box,
    moved,
    oval,
    polygon,
)


class Scene(NamedTuple):
    """A picture of SIZE x SIZE, and what it shows."""

    words: str
    picture: Image.Image


def any_scene(rng: Random) -> Scene:
    """A whole picture in colours of its own."""
    words, paint = rng.choice(
        (
            ("hills at sunset", _hills),
            ("mountains", _peaks),
            ("a city at night", _city),
            ("the sea", _sea),
            ("planets", _planets),
            ("bubbles", _bubbles),
            ("coloured rays", _rays),
            ("coloured waves", _waves),
        )
    )
    canvas = Canvas()
    paint(canvas, rng)
    return Scene(words, canvas.picture().convert("RGB").resize((SIZE, SIZE)))


def _flat(canvas: Canvas, outline: Points, colour: RGB) -> None:
    canvas.fill(outline, colour, rim=0)


def _sky(canvas: Canvas, top: RGB, bottom: RGB) -> None:
    canvas.fill(box(-2, -2, SIZE + 2, SIZE + 2), fade(top, bottom), rim=0)


def _hills(canvas: Canvas, rng: Random) -> None:
    glow = any_colour(rng, "orange", "pink", "yellow", "coral", "sky blue")
    _sky(canvas, any_colour(rng, "purple", "blue", "navy", "teal").rgb, glow.rgb)
    x, y = rng.uniform(200, 800), rng.uniform(300, 480)
    _flat(canvas, oval(x, y, rng.uniform(70, 120)), lighter(glow.rgb, 0.65))
    tone = any_colour(rng, "green", "navy", "burgundy", "teal", "purple").rgb
    for layer in range(3):
        base = 560 + layer * 130
        xs = np.linspace(-20, SIZE + 20, 40)
        ys = base + 60 * np.sin(xs / rng.uniform(90, 170) + rng.uniform(0, 6))
        ridge = np.concatenate([np.stack([xs, ys], axis=1), polygon((1020, 1020), (-20, 1020))])
        _flat(canvas, ridge, mix(glow.rgb, tone, 0.45 + 0.27 * layer))


def _peaks(canvas: Canvas, rng: Random) -> None:
    _sky(canvas, any_colour(rng, "sky blue", "blue", "teal", "lilac").rgb, (236, 236, 228))
    rock = any_colour(rng, "navy", "charcoal", "purple", "teal", "brown").rgb
    for layer in range(3):
        for _ in range(3):
            x, top = rng.uniform(0, SIZE), 260 + 150 * layer + rng.uniform(-70, 70)
            half = (SIZE - top) * rng.uniform(0.55, 0.8)
            peak = polygon((x, top), (x + half, SIZE), (x - half, SIZE))
            _flat(canvas, peak, mix((236, 236, 228), rock, 0.5 + 0.22 * layer))
            cap = polygon((0, 0), (0.2, 0.3), (0.05, 0.22), (-0.06, 0.3), (-0.2, 0.3))
            _flat(canvas, moved(cap * half * 0.75, x, top), CHALK)


def _city(canvas: Canvas, rng: Random) -> None:
    glow = any_colour(rng, "pink", "orange", "teal", "purple", "blue")
    _sky(canvas, darker(glow.rgb, 0.75), glow.rgb)
    _flat(canvas, oval(rng.uniform(150, 850), 200, 75), CHALK)
    x = -20.0
    while x < SIZE:
        width, top = rng.uniform(80, 170), rng.uniform(330, 680)
        tower = darker(glow.rgb, rng.uniform(0.6, 0.9))
        _flat(canvas, box(x, top, x + width, SIZE + 5), tower)
        for row in np.arange(top + 30, SIZE, 60):
            for column in np.arange(x + 15, x + width - 25, 36):
                if rng.choice((True, False)):
                    _flat(canvas, box(column, row, column + 18, row + 30), (250, 224, 130))
        x += width


def _sea(canvas: Canvas, rng: Random) -> None:
    water = any_colour(rng, "teal", "blue", "navy", "sky blue").rgb
    _sky(canvas, any_colour(rng, "sky blue", "pink", "mustard", "lilac").rgb, CHALK)
    _flat(canvas, box(-2, 520, SIZE + 2, SIZE + 2), water)
    for y in range(560, SIZE, 66):
        xs = np.linspace(-20, SIZE + 20, 50)
        wave = np.stack([xs, y + 12 * np.sin(xs / 50 + y)], axis=1)
        canvas.stroke(wave, 12, lighter(water, 0.3))
    sail, hull = any_colour(rng, "red", "orange", "white", "yellow").rgb, INK
    motifs()["a sailing boat"](
        canvas, rng.uniform(280, 720), 430, rng.uniform(150, 260), sail, hull
    )


def _planets(canvas: Canvas, rng: Random) -> None:
    night = any_colour(rng, "navy", "black", "purple", "burgundy").rgb
    _sky(canvas, darker(night, 0.4), lighter(night, 0.1))
    for _ in range(50):
        _flat(canvas, oval(rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(3, 7)), CHALK)
    for _ in range(rng.randint(2, 3)):
        x, y, size = rng.uniform(150, 850), rng.uniform(150, 850), rng.uniform(80, 230)
        colour = any_colour(rng, "orange", "pink", "teal", "yellow", "red", "lilac").rgb
        canvas.disc(x, y, size, colour)
        globe = oval(x, y, size)
        for band in (-0.4, 0.1, 0.5):
            stripe = box(x - size, y + band * size, x + size, y + (band + 0.2) * size)
            canvas.fill(stripe, darker(colour, 0.25), rim=0, within=globe)
        canvas.stroke(
            arc(x, y, size * 1.5, size * 0.4, -10, 190), size * 0.09, lighter(colour, 0.6)
        )


def _bubbles(canvas: Canvas, rng: Random) -> None:
    ground = any_colour(rng)
    _sky(canvas, ground.rgb, darker(ground.rgb, 0.35))
    for _ in range(rng.randint(9, 15)):
        place = oval(rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(50, 190))
        canvas.fill(place, any_colour(rng).rgb, rim=0.15)


def _rays(canvas: Canvas, rng: Random) -> None:
    one, two = any_colour(rng), any_colour(rng)
    _sky(canvas, one.rgb, one.rgb)
    x, y = rng.uniform(250, 750), rng.uniform(300, 1000)
    count = rng.randint(9, 14)
    for step in range(count):
        angle, half = math.tau * step / count, math.pi / count / 2
        ray = [
            (x + 1500 * math.cos(a), y + 1500 * math.sin(a)) for a in (angle - half, angle + half)
        ]
        _flat(canvas, polygon((x, y), *ray), two.rgb)
    _flat(canvas, oval(x, y, rng.uniform(90, 180)), any_colour(rng).rgb)


def _waves(canvas: Canvas, rng: Random) -> None:
    one, two = any_colour(rng), any_colour(rng)
    _sky(canvas, one.rgb, one.rgb)
    length, phase = rng.uniform(90, 220), rng.uniform(0, 6)
    slope = rng.uniform(-0.5, 0.5)
    xs = np.linspace(-20, SIZE + 20, 60)
    for step in range(6):
        ys = -100 + 190 * step + slope * (xs - 500) + 70 * np.sin(xs / length + phase + step * 0.4)
        wave = np.stack([xs, ys], axis=1)
        canvas.stroke(wave, 84, mix(one.rgb, two.rgb, 0.35 + 0.13 * step))
