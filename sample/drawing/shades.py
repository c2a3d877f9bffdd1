"""How light falls on a surface: square fields from -1 (black) over 0 (as painted) to 1 (white).

The light always comes from the upper left, so that the parts of an item belong together.
"""

import numpy as np
from numpy.typing import NDArray

Shade = NDArray[np.float64]

_SIDE = 48


def level(value: float) -> Shade:
    """The same everywhere."""
    return np.full((_SIDE, _SIDE), value)


def sheen(strength: float = 0.2) -> Shade:
    """A flat face: lighter at the upper left."""
    u, v = _unit()
    return strength * (0.9 - (u + v))


def upright(strength: float = 0.4) -> Shade:
    """A cylinder that stands: a highlight left of the middle, dark at the right."""
    u, _ = _unit()
    return strength * _round(u)


def lying(strength: float = 0.4) -> Shade:
    """A cylinder on its side: a highlight above the middle, dark underneath."""
    _, v = _unit()
    return strength * _round(v)


def ball(strength: float = 0.5) -> Shade:
    """A sphere."""
    u, v = _unit()
    distance = np.hypot(u - 0.35, v - 0.32)
    return strength * (0.75 * np.exp(-((distance / 0.2) ** 2)) + 0.45 - 1.5 * distance**1.5)


def sunk(strength: float = 0.4) -> Shade:
    """A hollow: dark at the upper left."""
    return -sheen(strength)


def falling(strength: float = 0.3) -> Shade:
    """Lighter at the top, darker at the bottom."""
    _, v = _unit()
    return strength * (0.8 - 1.8 * v)


def folds(strength: float = 0.25, count: float = 4, slant: float = 0.3) -> Shade:
    """Cloth that hangs in `count` soft folds."""
    u, v = _unit()
    wave = np.sin(2 * np.pi * (count * (u + slant * (v - 0.5) * (u - 0.5)) + 0.15))
    return strength * wave * (0.25 + 0.75 * v)


def glossy(strength: float = 0.5) -> Shade:
    """A polished face: a slanted band of reflected light."""
    u, v = _unit()
    across = u + 0.45 * v
    band = np.exp(-(((across - 0.45) / 0.12) ** 2)) + 0.5 * np.exp(-(((across - 0.75) / 0.05) ** 2))
    return strength * (0.7 * band - 0.35 * v)


def _unit() -> tuple[Shade, Shade]:
    steps = np.linspace(0, 1, _SIDE)
    u, v = np.meshgrid(steps, steps)
    return u, v


def _round(t: Shade) -> Shade:
    highlight = np.exp(-(((t - 0.28) / 0.13) ** 2))
    field: Shade = 0.8 * highlight + 0.25 - 1.5 * np.abs(t - 0.4) ** 1.4
    return field
