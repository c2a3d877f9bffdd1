"""Photographs a drawn item: another place, angle, light and crop each time, the same item."""

import math
from dataclasses import dataclass
from functools import partial
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from sample.article import Stance
from sample.drawing.outlines import Points, polygon, turned
from sample.drawing.surfaces import Size, floors, grounds, laid, walls

_LONG_SIDES = (480, 512, 560, 600, 640)
_ASPECTS = (4 / 3, 4 / 3, 4 / 3, 5 / 4, 3 / 2)
_TALL = 1.1
_PORTRAIT = 0.7
_AGAINST_ITS_SHAPE = 0.06
_OUT_OF_FOCUS = 0.3
_OVERSIZE = 1.3
_SHADOW_COARSE = 4


@dataclass(frozen=True, slots=True)
class Handling:
    """How far one stance lets photographs differ: degrees of turn, and foreshortening in shares."""

    turn: float
    slant: float


_HANDLING = {
    Stance.STANDING: Handling(turn=3.5, slant=0.05),
    Stance.LYING: Handling(turn=7, slant=0.05),
    Stance.HANGING: Handling(turn=3.5, slant=0.05),
}


def photograph(picture: Image.Image, stance: Stance, rng: Random) -> Image.Image:
    """One photograph of an item (RGBA, cut to its edges) as RGB, 480 to 640 pixels long."""
    size = _frame_size(picture, rng)
    corners = _corners(picture, stance, size, rng)
    item = _placed(picture, corners, size)
    if stance is Stance.STANDING:
        ground_line = _lowest(item)
        backdrop = _room(rng, size, ground_line)
        shadow = _cast_shadow(item, ground_line, rng)
    else:
        choices = grounds() if stance is Stance.LYING else walls()
        backdrop = rng.choice(choices)(rng, size)
        shadow = _close_shadow(item, rng)
    backdrop = backdrop.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.8)))
    backdrop.paste((22, 18, 24), mask=shadow)
    backdrop.paste(item, mask=item.getchannel("A"))
    if rng.random() < _OUT_OF_FOCUS:
        backdrop = backdrop.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    return _exposed(backdrop, rng)


def _frame_size(picture: Image.Image, rng: Random) -> Size:
    long = rng.choice(_LONG_SIDES)
    short = round(long / rng.choice(_ASPECTS))
    tallness = picture.height / picture.width
    if 1 / _TALL < tallness < _TALL:
        upright = rng.random() < _PORTRAIT
    else:
        upright = (tallness > 1) != (rng.random() < _AGAINST_ITS_SHAPE)
    return (short, long) if upright else (long, short)


def _corners(picture: Image.Image, stance: Stance, size: Size, rng: Random) -> Points:
    """Where the picture's corners fall in the frame, clockwise from the top left."""
    width, height = size
    handling = _HANDLING[stance]
    share = rng.uniform(0.8, 0.98)
    scale = share * min(width / picture.width, height / picture.height)
    half_x, half_y = picture.width * scale / 2, picture.height * scale / 2
    slack_x, slack_y = width / 2 - half_x, height / 2 - half_y
    x = width / 2 + rng.uniform(-0.5, 0.5) * slack_x + rng.uniform(-0.02, 0.02) * width
    y = height / 2 + rng.uniform(-0.5, 0.5) * slack_y + rng.uniform(-0.02, 0.02) * height
    yaw, pitch = (rng.uniform(-handling.slant, handling.slant) for _ in range(2))
    narrow = 1 - abs(yaw)
    corners = polygon(
        (x - half_x * narrow * (1 - pitch), y - half_y * (1 + yaw)),
        (x + half_x * narrow * (1 - pitch), y - half_y * (1 - yaw)),
        (x + half_x * narrow * (1 + pitch), y + half_y * (1 - yaw)),
        (x - half_x * narrow * (1 + pitch), y + half_y * (1 + yaw)),
    )
    return turned(corners, rng.uniform(-handling.turn, handling.turn), (x, y))


def _placed(picture: Image.Image, corners: Points, size: Size) -> Image.Image:
    """The picture seen through the frame, transparent around it."""
    # Scaling first, with a filter that averages, keeps fine detail from flickering; the
    # perspective then moves pixels about at nearly their own size.
    width = math.ceil(_OVERSIZE * float(np.ptp(corners[:, 0])))
    small = picture.resize(
        (width, math.ceil(picture.height * width / picture.width)),
        Image.Resampling.BOX,
    )
    edges = polygon((0, 0), (small.width, 0), (small.width, small.height), (0, small.height))
    return small.transform(
        size,
        Image.Transform.PERSPECTIVE,
        _perspective(corners, edges),
        Image.Resampling.BILINEAR,
    )


def _perspective(seen: Points, source: Points) -> list[float]:
    """The eight numbers that take the seen corners back to the source's."""
    rows = []
    for (x, y), (u, v) in zip(seen, source, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solved: list[float] = np.linalg.solve(np.asarray(rows), source.ravel()).tolist()
    return solved


def _room(rng: Random, size: Size, ground_line: float) -> Image.Image:
    """A wall over a floor that begins behind the item."""
    width, height = size
    horizon = round(min(height * 0.94, ground_line - height * rng.uniform(0.06, 0.26)))
    room = rng.choice(walls())(rng, size)
    floor = laid(rng.choice(floors())(rng, size), horizon)
    room.paste(floor, (0, horizon))
    edge = Image.new("L", (width, 5), 70).filter(ImageFilter.GaussianBlur(1))
    room.paste((40, 36, 40), (0, horizon - 3), edge)
    return room


def _lowest(item: Image.Image) -> float:
    bounds = item.getchannel("A").getbbox()
    return float(bounds[3]) if bounds else float(item.height)


def _cast_shadow(item: Image.Image, ground_line: float, rng: Random) -> Image.Image:
    """The item's shadow on the floor: its outline laid down, and the dark strip it stands on."""
    alpha = item.getchannel("A").reduce(_SHADOW_COARSE)
    base = ground_line / _SHADOW_COARSE
    height, lean = rng.uniform(0.14, 0.3), rng.uniform(-0.7, 0.7)
    lying = alpha.transform(
        alpha.size,
        Image.Transform.AFFINE,
        (1, lean / height, -lean * base / height, 0, 1 / height, base * (1 - 1 / height)),
        Image.Resampling.BILINEAR,
    )
    contact = alpha.transform(
        alpha.size,
        Image.Transform.AFFINE,
        (1, 0, 0, 0, 1 / 0.05, (base + 1.5) * (1 - 1 / 0.05)),
        Image.Resampling.BILINEAR,
    )
    soft = lying.filter(ImageFilter.GaussianBlur(rng.uniform(2, 4)))
    near = contact.filter(ImageFilter.GaussianBlur(1.2))
    dark = ImageChops.lighter(
        soft.point(partial(_share, rng.uniform(0.3, 0.5))), near.point(partial(_share, 0.6))
    )
    return dark.resize(item.size, Image.Resampling.BILINEAR)


def _close_shadow(item: Image.Image, rng: Random) -> Image.Image:
    """The shadow on a surface right behind the item."""
    alpha = item.getchannel("A").reduce(_SHADOW_COARSE)
    angle, reach = rng.uniform(0, math.tau), rng.uniform(1, 3.5)
    moved = ImageChops.offset(alpha, round(reach * math.cos(angle)), round(reach * math.sin(angle)))
    soft = moved.filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 2.8)))
    return soft.point(partial(_share, rng.uniform(0.4, 0.6))).resize(
        item.size, Image.Resampling.BILINEAR
    )


def _exposed(picture: Image.Image, rng: Random) -> Image.Image:
    """The scene in some light, with a phone's noise."""
    width, height = picture.size
    noise = np.random.default_rng(rng.getrandbits(64))
    u = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    v = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    angle, slope = rng.uniform(0, math.tau), rng.uniform(0, 0.22)
    light = rng.uniform(0.88, 1.18) * (1 + slope * (u * math.cos(angle) + v * math.sin(angle)))
    light -= rng.uniform(0, 0.14) * (u**2 + v**2)
    warmth = rng.uniform(-0.07, 0.07)
    tint = np.asarray((1 + warmth, 1 + rng.uniform(-0.02, 0.02), 1 - warmth), np.float32)
    contrast = rng.uniform(0.88, 1.08)
    grain = rng.uniform(1.5, 4.5) * noise.standard_normal((height, width, 1), dtype=np.float32)
    pixels = np.asarray(picture, np.float32) * (contrast * light)[..., None]
    pixels *= tint
    pixels += grain + 128 * (1 - contrast)
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def _share(strength: float, value: float) -> float:
    return value * strength
