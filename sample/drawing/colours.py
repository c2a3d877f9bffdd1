"""Colours with the names a seller would give them."""

import colorsys
from random import Random
from typing import NamedTuple

RGB = tuple[int, int, int]

INK: RGB = (34, 33, 38)
CHALK: RGB = (244, 243, 238)
STEEL: RGB = (186, 190, 196)
GRAPHITE: RGB = (84, 87, 94)
GOLD: RGB = (206, 166, 84)
RUBBER: RGB = (46, 46, 50)
GLASS: RGB = (44, 52, 64)

PALETTE: dict[str, RGB] = {
    "red": (204, 44, 44),
    "burgundy": (122, 30, 52),
    "orange": (236, 124, 38),
    "mustard": (216, 164, 42),
    "yellow": (244, 208, 62),
    "lime green": (148, 194, 60),
    "green": (52, 136, 76),
    "olive": (112, 118, 62),
    "mint": (152, 216, 188),
    "teal": (28, 132, 138),
    "sky blue": (122, 186, 228),
    "blue": (40, 96, 192),
    "navy": (34, 46, 92),
    "purple": (116, 66, 156),
    "lilac": (188, 162, 220),
    "pink": (240, 144, 176),
    "coral": (240, 112, 96),
    "brown": (122, 78, 48),
    "beige": (216, 194, 160),
    "cream": (244, 232, 206),
    "white": (240, 240, 238),
    "grey": (142, 146, 152),
    "charcoal": (66, 70, 78),
    "black": (38, 38, 42),
}

BRIGHT = (
    "red", "orange", "yellow", "lime green", "green", "teal", "sky blue", "blue", "purple", "pink",
    "coral",
)  # fmt: skip
PALE = ("white", "cream", "beige", "mint", "lilac", "pink", "sky blue", "yellow", "coral")

_CONTRAST = 0.2
_DARK = 0.5
_CHANNELS = 255


class Colour(NamedTuple):
    """A colour and its name."""

    name: str
    rgb: RGB


def any_colour(rng: Random, *names: str) -> Colour:
    """One of the named colours (of all, if none is named), a little off its usual shade."""
    name = rng.choice(names or tuple(PALETTE))
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / _CHANNELS for part in PALETTE[name]))
    shifted = colorsys.hsv_to_rgb(
        (hue + rng.uniform(-0.012, 0.012)) % 1,
        min(1, saturation * rng.uniform(0.86, 1.1)),
        min(1, value * rng.uniform(0.9, 1.06)),
    )
    return Colour(name, _whole(*(part * _CHANNELS for part in shifted)))


def other_colour(rng: Random, than: Colour, *names: str) -> Colour:
    """A colour that stands out from another: clearly lighter or darker."""
    apart = [
        name
        for name in names or tuple(PALETTE)
        if abs(brightness(PALETTE[name]) - brightness(than.rgb)) > _CONTRAST
    ]
    return any_colour(rng, *apart)


def brightness(rgb: RGB) -> float:
    """Luma in [0, 1], by ITU-R BT.601."""
    red, green, blue = rgb
    return (0.299 * red + 0.587 * green + 0.114 * blue) / _CHANNELS


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """`share` of the other colour in the first."""
    return _whole(*(a + (b - a) * share for a, b in zip(one, other, strict=True)))


def is_dark(rgb: RGB) -> bool:
    """Whether light marks show better on it than dark ones."""
    return brightness(rgb) < _DARK


def legible(ground: RGB) -> RGB:
    """Chalk on a dark ground, ink on a light one."""
    return CHALK if is_dark(ground) else INK


def darker(rgb: RGB, share: float) -> RGB:
    """Mixed with near-black."""
    return mix(rgb, (12, 10, 16), share)


def lighter(rgb: RGB, share: float) -> RGB:
    """Mixed with near-white."""
    return mix(rgb, (255, 254, 250), share)


def _whole(red: float, green: float, blue: float) -> RGB:
    return round(red), round(green), round(blue)
