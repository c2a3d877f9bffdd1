"""Pictures of nothing that is sold: plain colours, textures, patterns, scribbles, animals of blobs.

What is found for them is what is found for anything. They are drawn with numpy and Pillow, always
the same.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDE: Final = 320
EACH: Final = 12
"""How many are drawn of each kind."""
_JOINT: Final = 3

RGB = tuple[int, int, int]
Draw = Callable[[Random], Image.Image]


def strangers() -> list[Image.Image]:
    """`EACH` pictures of each kind, RGB: the first of every kind, then the second of every kind."""
    return [draw(Random(f"{draw.__name__} {number}")) for number in range(EACH) for draw in KINDS]


def plain(rng: Random) -> Image.Image:
    """One colour, as a covered lens or a wall shows."""
    return Image.new("RGB", (SIDE, SIDE), _colour(rng))


def gradient(rng: Random) -> Image.Image:
    """One colour that becomes another, in any direction: a sky, a lit wall."""
    across, down = np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE))
    share = rng.random()
    return _between(share * across + (1 - share) * down, _colour(rng), _colour(rng))


def shape(rng: Random) -> Image.Image:
    """A square, a circle or a triangle on a plain ground."""
    picture = Image.new("RGB", (SIDE, SIDE), _colour(rng))
    draw = ImageDraw.Draw(picture)
    size = rng.uniform(0.2, 0.45) * SIDE
    x, y = (rng.uniform(size, SIDE - size) for _ in range(2))
    box = (x - size, y - size, x + size, y + size)
    match rng.choice(("square", "circle", "triangle")):
        case "square":
            draw.rectangle(box, _colour(rng))
        case "circle":
            draw.ellipse(box, _colour(rng))
        case _:
            draw.polygon([(x, y - size), (x + size, y + size), (x - size, y + size)], _colour(rng))
    return picture


def noise(rng: Random) -> Image.Image:
    """Grains of any size, in colour or not."""
    size = rng.choice((8, 20, 60, SIDE))
    bands = rng.choice((1, 3))
    grains = _numbers(rng).integers(0, 256, (size, size, bands), dtype=np.uint8)
    return Image.fromarray(np.broadcast_to(grains, (size, size, 3)).copy()).resize((SIDE, SIDE))


def carpet(rng: Random) -> Image.Image:
    """Pile of one colour, short or long, with broad lighter and darker patches."""
    pile = _cloud(rng, rng.choice((1.0, 2.0, 4.0)))
    patches = _cloud(rng, 50.0)
    tone = _colour(rng)
    return _between(0.5 + 0.2 * pile + 0.12 * patches, _scaled(tone, 0.6), _scaled(tone, 1.3))


def weave(rng: Random) -> Image.Image:
    """Threads over and under one another: a rug, a basket, a plain cloth."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / rng.uniform(3, 14)
    over = np.sin(np.pi * columns) ** 2 * (np.floor(rows) % 2 == 0)
    under = np.sin(np.pi * rows) ** 2 * (np.floor(columns) % 2 == 1)
    return _between(0.8 * np.maximum(over, under) + 0.1 * _cloud(rng, 1.0), *_tones(rng))


def stripes(rng: Random) -> Image.Image:
    """Bands, straight or wavy, in any direction."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    angle, bands = rng.uniform(0, np.pi), rng.uniform(3, 24)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    wave = rng.choice((0.0, 0.06)) * np.sin(12 * (columns - rows))
    return _between(np.sin(2 * np.pi * bands * (along + wave)) > 0, _colour(rng), _colour(rng))


def tiles(rng: Random) -> Image.Image:
    """A wall of bricks, a floor of tiles, a board of squares."""
    width, height = rng.uniform(24, 90), rng.uniform(20, 60)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    columns += (np.floor(rows / height) % 2) * rng.choice((0.0, 0.5)) * width
    joint = (rows % height < _JOINT) | (columns % width < _JOINT)
    tones = _numbers(rng).normal(0.5, 0.15, (64, 64))
    tone = tones[(rows // height).astype(int) % 64, (columns // width).astype(int) % 64]
    return _between(np.where(joint, 1.0, tone + 0.05 * _cloud(rng, 1.0)), *_tones(rng))


def wood(rng: Random) -> Image.Image:
    """Boards with grain."""
    grain = np.asarray(
        Image.fromarray(
            _numbers(rng).normal(0, 1, (rng.randint(20, 60), 4)).astype(np.float32)
        ).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    )
    boards = np.floor(np.arange(SIDE)[:, None] / rng.uniform(30, 120)) % 2
    return _between(0.5 + 0.2 * grain + 0.1 * boards, (92, 64, 40), (206, 170, 126))


def leaves(rng: Random) -> Image.Image:
    """Grass, leaves or gravel: many small pieces of a few tones over one another."""
    first, second = _tones(rng)
    picture = Image.new("RGB", (SIDE, SIDE), first)
    draw = ImageDraw.Draw(picture)
    size, stretch = rng.uniform(4, 22), rng.uniform(0.15, 1)
    for _ in range(900):
        x, y, share = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.random()
        tone = tuple(
            round(one + share * (other - one)) for one, other in zip(first, second, strict=True)
        )
        half = (size, size * stretch) if rng.random() < 0.5 else (size * stretch, size)  # noqa: PLR2004
        draw.ellipse((x - half[0], y - half[1], x + half[0], y + half[1]), tone)
    return picture


def page(rng: Random) -> Image.Image:
    """A page of lines that look like writing, or a chart of bars."""
    picture = Image.new("RGB", (SIDE, SIDE), (250, 250, 246))
    draw = ImageDraw.Draw(picture)
    if rng.random() < 0.3:  # noqa: PLR2004 - a share
        for number in range(8):
            height = rng.uniform(20, SIDE - 60)
            left = 24 + 34 * number
            draw.rectangle((left, SIDE - 24 - height, left + 22, SIDE - 24), _colour(rng))
        return picture
    for row in range(24, SIDE - 20, rng.randint(12, 24)):
        x = 24.0
        while x < SIDE - 40:
            word = rng.uniform(8, 46)
            draw.rectangle((x, row, x + word, row + 5), (40, 40, 48))
            x += word + 7
    return picture


def animal(rng: Random) -> Image.Image:
    """A body, a head with ears and eyes, legs and a tail, in fur, before a soft ground."""
    ground = _between(0.5 + 0.3 * _cloud(rng, 40.0), *_tones(rng))
    mask = Image.new("L", (SIDE, SIDE), 0)
    draw = ImageDraw.Draw(mask)
    wide, high = rng.uniform(60, 90), rng.uniform(36, 60)
    x, y = SIDE / 2 + rng.uniform(-20, 20), SIDE * 0.58
    head, side = rng.uniform(28, 46), rng.choice((-1, 1))
    face = (x + side * wide, y - high)
    draw.ellipse((x - wide, y - high, x + wide, y + high), 255)
    draw.ellipse((face[0] - head, face[1] - head, face[0] + head, face[1] + head), 255)
    for ear in (-0.6, 0.6):
        tip = face[0] + ear * head * 1.3, face[1] - head * rng.uniform(1.2, 2.2)
        base = face[0] + ear * head
        draw.polygon([(base - 13, face[1] - 16), (base + 13, face[1] - 16), tip], 255)
    for leg in (-0.7, -0.3, 0.3, 0.7):
        draw.rectangle((x + leg * wide - 8, y, x + leg * wide + 8, y + high + 34), 255)
    draw.arc((x - side * wide - 60, y - 90, x - side * wide + 40, y + 20), 60, 250, 255, 11)
    fur = _between(0.5 + 0.25 * _cloud(rng, 1.5) + 0.2 * _cloud(rng, 14.0), *_tones(rng))
    ground.paste(fur, (0, 0), mask.filter(ImageFilter.GaussianBlur(1.5)))
    draw = ImageDraw.Draw(ground)
    for eye in (-0.4, 0.4):
        centre = face[0] + eye * head
        draw.ellipse((centre - 5, face[1] - 7, centre + 5, face[1] + 5), (24, 28, 20))
    return ground


def scene(rng: Random) -> Image.Image:
    """A landscape of a few planes: sky, hills, water, a sun or a moon."""
    picture = gradient(rng)
    draw = ImageDraw.Draw(picture)
    x, y, radius = rng.uniform(40, SIDE - 40), rng.uniform(30, 110), rng.uniform(12, 34)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), _colour(rng))
    for plane in range(3):
        level, slope = SIDE * (0.45 + 0.17 * plane), rng.uniform(0.01, 0.04)
        phase, rise = rng.uniform(0, 6), rng.uniform(6, 46)
        ridge = [(x, level + rise * np.sin(slope * x + phase)) for x in range(0, SIDE + 8, 8)]
        draw.polygon([(0, SIDE), *ridge, (SIDE, SIDE)], _colour(rng))
    return picture


KINDS: Final[tuple[Draw, ...]] = (
    plain,
    gradient,
    shape,
    noise,
    carpet,
    weave,
    stripes,
    tiles,
    wood,
    leaves,
    page,
    animal,
    scene,
)


def _numbers(rng: Random) -> np.random.Generator:
    return np.random.default_rng(rng.getrandbits(64))


def _colour(rng: Random) -> RGB:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def _scaled(tone: RGB, factor: float) -> RGB:
    red, green, blue = (min(255, round(value * factor)) for value in tone)
    return red, green, blue


def _tones(rng: Random) -> tuple[RGB, RGB]:
    """A darker and a lighter tone of one colour."""
    tone = _colour(rng)
    return _scaled(tone, rng.uniform(0.35, 0.8)), _scaled(tone, rng.uniform(1.0, 1.5))


def _cloud(rng: Random, grain: float) -> NDArray[np.float32]:
    """Soft noise (SIDE, SIDE) of mean 0 and deviation 1, `grain` pixels from light to dark."""
    size = max(2, round(SIDE / grain))
    field = _numbers(rng).normal(0, 1, (size, size)).astype(np.float32)
    soft = Image.fromarray(field).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    values = np.asarray(soft)
    even: NDArray[np.float32] = (values - values.mean()) / (values.std() + np.float32(1e-6))
    return even


def _between(share: NDArray[np.generic], low: RGB, high: RGB) -> Image.Image:
    """The mix of two colours by a share (SIDE, SIDE), clipped to [0, 1], of the second."""
    part = np.clip(np.asarray(share, np.float64), 0, 1)[..., np.newaxis]
    return Image.fromarray(
        (np.array(low) + part * (np.array(high) - np.array(low))).astype(np.uint8)
    )
