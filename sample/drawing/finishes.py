"""Surfaces: printed and woven patterns in two colours, and the grain of materials.

A pattern is an RGB picture of SIZE x SIZE; each is called by the word a seller would use.
"""

import math
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sample.drawing.canvas import SIZE, Paint
from sample.drawing.colours import RGB, Colour, darker, lighter, mix
from sample.drawing.outlines import Points, heart, star

Pattern = Callable[[Random, RGB, RGB], Image.Image]


ALL_OVER = (
    "striped", "spotted", "checked", "zigzag", "flowery", "starry", "heart print", "speckled",
    "diamond",
)  # fmt: skip
"""The patterns that any part of an item shows."""

PRINTS = (*ALL_OVER, "camo", "two-tone")
"""Every pattern; the last ones need most of the square to be seen."""


class Finish(NamedTuple):
    """A surface, and the words for it, such as "red spotted" or "plain navy"."""

    words: str
    paint: Paint


def any_finish(rng: Random, base: Colour, accent: Colour, *names: str) -> Finish:
    """The base colour plain or with one of the named patterns in the accent colour."""
    name = rng.choice(names)
    pattern = patterns().get(name)
    if pattern is None:
        return Finish(base.name, base.rgb)
    return Finish(f"{base.name} {name}", pattern(rng, base.rgb, accent.rgb))


def patterns() -> dict[str, Pattern]:
    """Every printed pattern by its name; "plain" is none of them."""
    return {
        "striped": _striped,
        "spotted": _spotted,
        "checked": _checked,
        "zigzag": _zigzag,
        "flowery": _flowery,
        "starry": _starry,
        "heart print": _hearts,
        "speckled": _speckled,
        "camo": _camouflage,
        "two-tone": _two_tone,
        "diamond": _diamonds,
    }


def wood(rng: Random, tone: RGB) -> Image.Image:
    """Grain that runs from top to bottom, with a few knots' worth of waviness."""
    side = SIZE // 4
    noise = _noise(rng)
    v, u = np.mgrid[0:side, 0:side] / side
    bend = 0.05 * np.sin(2 * math.pi * (v * rng.uniform(0.4, 1.2) + rng.random()))
    drift = np.cumsum(noise.normal(0, 0.012, side))[None, :]
    rings = np.sin(2 * math.pi * (rng.uniform(7, 14) * (u + bend) + 4 * drift))
    fibres = noise.normal(0, 1, (side // 10, side)).repeat(10, axis=0)[:side]
    field = 0.5 + 0.28 * rings + 0.13 * _padded(fibres, side)
    return _between(field, darker(tone, 0.32), lighter(tone, 0.16))


def brushed(rng: Random, tone: RGB) -> Image.Image:
    """Metal with fine lines from left to right."""
    lines = _noise(rng).normal(0, 1, (SIZE // 2, 12))
    field = 0.5 + 0.16 * lines
    return _between(field, darker(tone, 0.22), lighter(tone, 0.28))


def woven(rng: Random, tone: RGB) -> Image.Image:
    """Coarse cloth."""
    steps = np.arange(SIZE // 2)
    threads = np.sin(steps * 1.15)[:, None] * np.sin(steps * 1.15)[None, :]
    field = 0.5 + 0.16 * threads + 0.1 * _noise(rng).normal(0, 1, threads.shape)
    return _between(field, darker(tone, 0.3), lighter(tone, 0.2))


def furry(rng: Random, tone: RGB) -> Image.Image:
    """Short soft pile."""
    field = 0.5 + 0.22 * _noise(rng).normal(0, 1, (SIZE // 7, SIZE // 7))
    return _between(field, darker(tone, 0.28), lighter(tone, 0.25))


def meshed(tone: RGB, pitch: int = 16) -> Image.Image:
    """A net of small holes."""
    image = Image.new("RGB", (SIZE, SIZE), tone)
    draw = ImageDraw.Draw(image)
    hole = darker(tone, 0.55)
    for row, y in enumerate(range(0, SIZE, pitch)):
        for x in range(row % 2 * pitch // 2, SIZE, pitch):
            draw.ellipse((x, y, x + pitch * 0.55, y + pitch * 0.55), fill=hole)
    return image


def fade(top: RGB, bottom: RGB) -> Image.Image:
    """One colour that turns into another downwards."""
    field = np.linspace(1, 0, 64)[:, None].repeat(2, axis=1)
    return _between(field, bottom, top)


def _striped(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), base)
    draw = ImageDraw.Draw(image)
    angle = math.radians(rng.choice((0, 0, 90, 45, 135)))
    pitch = rng.uniform(54, 130)
    width = round(pitch * rng.uniform(0.3, 0.6))
    shift = rng.random() * pitch
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]])
    double = rng.choice((True, False))
    for offset in np.arange(-SIZE, SIZE, pitch) + shift:
        middle = SIZE / 2 + across * offset
        ends = [*(middle - along * SIZE), *(middle + along * SIZE)]
        draw.line(ends, fill=accent, width=width)
        if double:
            draw.line(ends, fill=mix(base, accent, 0.35), width=max(4, width // 3))
    return image


def _spotted(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    pitch = rng.uniform(74, 140)
    radius = pitch * rng.uniform(0.22, 0.36)

    def spot(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
        draw.circle((x, y), radius, fill=accent)

    return _scattered(base, pitch, spot)


def _starry(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    pitch = rng.uniform(96, 150)
    size = pitch * rng.uniform(0.28, 0.4)

    def mark(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
        draw.polygon(_flat(star(x, y, size, 5)), fill=accent)

    return _scattered(base, pitch, mark)


def _hearts(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    pitch = rng.uniform(96, 150)
    size = pitch * rng.uniform(0.22, 0.32)

    def mark(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
        draw.polygon(_flat(heart(x, y, size)), fill=accent)

    return _scattered(base, pitch, mark)


def _flowery(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    pitch = rng.uniform(110, 170)
    petal = pitch * rng.uniform(0.13, 0.17)
    leaf = mix(base, (60, 130, 70), 0.75)
    heart_of = (246, 206, 80) if accent[2] < accent[0] or accent[1] < accent[2] else (250, 250, 240)

    def flower(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
        turn = rng.uniform(0, math.tau)
        for side in (0.6, 3.4):
            lx, ly = (
                x + 2.6 * petal * math.cos(turn + side),
                y + 2.6 * petal * math.sin(turn + side),
            )
            draw.circle((lx, ly), petal * 0.7, fill=leaf)
        for step in range(5):
            angle = turn + step * math.tau / 5
            centre = (x + 1.25 * petal * math.cos(angle), y + 1.25 * petal * math.sin(angle))
            draw.circle(centre, petal, fill=accent)
        draw.circle((x, y), petal * 0.75, fill=heart_of)

    return _scattered(base, pitch, flower)


def _checked(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    pitch = rng.uniform(70, 140)
    bands = (np.arange(SIZE) % pitch < pitch / 2).astype(float)
    field = (bands[:, None] + bands[None, :]) / 2
    return _between(field, base, accent)


def _zigzag(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), base)
    draw = ImageDraw.Draw(image)
    pitch = rng.uniform(70, 130)
    step = rng.uniform(40, 80)
    xs = np.arange(-step, SIZE + step, step)
    lift = np.where(np.arange(len(xs)) % 2, -0.6, 0.6) * step
    for y in np.arange(-pitch, SIZE + pitch, pitch):
        line = np.stack([xs, y + lift], axis=1)
        draw.line(_flat(line), fill=accent, width=round(pitch * 0.36), joint="curve")
    return image


def _speckled(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), base)
    draw = ImageDraw.Draw(image)
    tones = (accent, mix(base, accent, 0.5), darker(accent, 0.3), lighter(accent, 0.4))
    for _ in range(rng.randint(260, 420)):
        x, y, size = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(6, 20)
        draw.ellipse((x, y, x + size * rng.uniform(0.7, 1.6), y + size), fill=rng.choice(tones))
    return image


def _camouflage(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    side = rng.randint(9, 14)
    field = _noise(rng).normal(0, 1, (side, side))
    blobs = Image.fromarray((np.clip(field * 55 + 128, 0, 255)).astype(np.uint8))
    smooth = np.asarray(blobs.resize((SIZE // 2, SIZE // 2), Image.Resampling.BICUBIC))
    tones = np.array([base, mix(base, accent, 0.45), accent, darker(base, 0.4)], dtype=np.uint8)
    picked = tones[np.digitize(smooth, [105, 140, 175])]
    return Image.fromarray(picked).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def _two_tone(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), base)
    draw = ImageDraw.Draw(image)
    height = SIZE * rng.uniform(0.45, 0.65)
    slant = rng.uniform(-160, 160)
    draw.polygon(
        (0, height - slant, SIZE, height + slant, SIZE, SIZE, 0, SIZE),
        fill=accent,
    )
    return image


def _diamonds(rng: Random, base: RGB, accent: RGB) -> Image.Image:
    pitch = rng.uniform(120, 190)

    def diamond(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
        across, down = pitch * 0.46, pitch * 0.44
        draw.polygon((x, y - down, x + across, y, x, y + down, x - across, y), fill=accent)

    return _scattered(base, pitch, diamond)


def _scattered(
    base: RGB, pitch: float, mark: Callable[[ImageDraw.ImageDraw, float, float], None]
) -> Image.Image:
    """Repeats a mark in rows, every other row shifted by half a step."""
    image = Image.new("RGB", (SIZE, SIZE), base)
    draw = ImageDraw.Draw(image)
    for row, y in enumerate(np.arange(0, SIZE + pitch, pitch * 0.86)):
        for x in np.arange(row % 2 * pitch / 2, SIZE + pitch, pitch):
            mark(draw, float(x), float(y))
    return image


def _between(field: NDArray[np.float64], low: RGB, high: RGB) -> Image.Image:
    """A field of 0 to 1 as colours from low to high, spread over the whole square."""
    share = np.clip(field, 0, 1)[..., None]
    pixels = np.asarray(low) * (1 - share) + np.asarray(high) * share
    return Image.fromarray(pixels.round().astype(np.uint8)).resize(
        (SIZE, SIZE), Image.Resampling.BICUBIC
    )


def _padded(rows: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    return np.concatenate([rows, rows[: side - len(rows)]])


def _noise(rng: Random) -> np.random.Generator:
    return np.random.default_rng(rng.getrandbits(64))


def _flat(points: Points) -> list[float]:
    places: list[float] = points.ravel().tolist()
    return places
