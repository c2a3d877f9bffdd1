"""What items stand on, lie on and hang before, as RGB pictures of any size.

They stay softer and paler than the items: a seller points the camera at the item.
"""

import math
from collections.abc import Callable
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sample.drawing.colours import RGB, any_colour, mix

Size = tuple[int, int]
Surface = Callable[[Random, Size], Image.Image]
Field = NDArray[np.float32]

_WOODS: tuple[RGB, ...] = (
    (186, 146, 104),
    (132, 98, 70),
    (214, 186, 148),
    (108, 84, 68),
    (168, 156, 142),
)
_COARSE = 2
_SEAM = 1.6
_CONVERGENCE = 0.12


def grounds() -> tuple[Surface, ...]:
    """What things are laid on."""
    return (planks, carpet, bed_cover, tiles, lawn, table_top)


def floors() -> tuple[Surface, ...]:
    """What things are stood on."""
    return (planks, planks, carpet, tiles, table_top, table_top)


def walls() -> tuple[Surface, ...]:
    """What is behind things."""
    return (painted_wall, painted_wall, papered_wall, bricks)


def planks(rng: Random, size: Size) -> Image.Image:
    """Boards with grain and seams."""
    width, height = _coarse(size)
    noise = _noise(rng)
    board = rng.uniform(0.16, 0.3) * width
    columns = np.arange(width, dtype=np.float32)[None, :].repeat(height, axis=0)
    index = np.floor(columns / board).astype(int)
    tones = noise.normal(0, 0.05, index.max() + 1).astype(np.float32)[index]
    grain = 0.06 * _cloud(noise, (width, height), 4, 60)
    seams = np.where(columns % board < _SEAM, -0.22, 0)
    picture = _toned(1 + tones + grain + seams, rng.choice(_WOODS), size)
    return (
        picture.transpose(Image.Transpose.ROTATE_90).resize(size)
        if rng.random() < 1 / 2
        else picture
    )


def carpet(rng: Random, size: Size) -> Image.Image:
    """Short pile."""
    noise = _noise(rng)
    tone = mix(any_colour(rng).rgb, (186, 178, 166), 0.55)
    pile = 0.07 * noise.standard_normal((size[1], size[0]), dtype=np.float32)
    return _toned(1 + pile + 0.05 * _cloud(noise, size, 90, 90), tone, size)


def bed_cover(rng: Random, size: Size) -> Image.Image:
    """Cloth with soft folds, and broad stripes at times."""
    width, height = _coarse(size)
    noise = _noise(rng)
    tone = mix(any_colour(rng).rgb, (226, 222, 214), 0.55)
    folds = 0.09 * _cloud(noise, (width, height), 60, 34)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    stripes = np.sin((columns + rng.choice((0.0, 0.6)) * rows) / rng.uniform(9, 18))
    depth = rng.choice((0.0, 0.035))
    return _toned(1 + folds + depth * stripes, tone, size)


def tiles(rng: Random, size: Size) -> Image.Image:
    """Square tiles with grout."""
    width, height = _coarse(size)
    noise = _noise(rng)
    pitch = rng.uniform(0.2, 0.34) * width
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    shift_x, shift_y = rng.uniform(0, pitch), rng.uniform(0, pitch)
    grout = ((rows + shift_y) % pitch < _SEAM) | ((columns + shift_x) % pitch < _SEAM)
    across = np.floor((columns + shift_x) / pitch).astype(int)
    down = np.floor((rows + shift_y) / pitch).astype(int)
    tones = noise.normal(0, 0.025, (down.max() + 1, across.max() + 1)).astype(np.float32)
    tone = rng.choice(((214, 208, 198), (176, 182, 186), (198, 178, 156), (142, 150, 156)))
    field = 1 + tones[down, across] + 0.03 * _cloud(noise, (width, height), 30, 30)
    return _toned(np.where(grout, field - 0.16, field), tone, size)


def lawn(rng: Random, size: Size) -> Image.Image:
    """Grass, out of focus."""
    noise = _noise(rng)
    blades = 0.13 * _cloud(noise, size, 3, 10) + 0.08 * _cloud(noise, size, 70, 50)
    return _toned(1 + blades, rng.choice(((104, 142, 72), (126, 152, 84), (88, 122, 70))), size)


def table_top(rng: Random, size: Size) -> Image.Image:
    """A plain smooth top."""
    tone = mix(any_colour(rng).rgb, (206, 202, 196), 0.65)
    return _toned(1 + 0.02 * _cloud(_noise(rng), size, 80, 80), tone, size)


def painted_wall(rng: Random, size: Size) -> Image.Image:
    """A wall in one pale colour."""
    tone = mix(any_colour(rng).rgb, (224, 220, 212), 0.7)
    return _toned(1 + 0.025 * _cloud(_noise(rng), size, 110, 110), tone, size)


def papered_wall(rng: Random, size: Size) -> Image.Image:
    """Wallpaper with pale upright stripes."""
    tone = mix(any_colour(rng).rgb, (222, 218, 210), 0.65)
    columns = np.arange(size[0], dtype=np.float32)[None, :].repeat(size[1], axis=0)
    period = rng.uniform(22, 60)
    stripes = np.where(columns % period < period / 2, 0.03, -0.03)
    return _toned(1 + stripes + 0.02 * _cloud(_noise(rng), size, 110, 110), tone, size)


def bricks(rng: Random, size: Size) -> Image.Image:
    """A brick wall, painted or bare, out of focus."""
    width, height = _coarse(size)
    noise = _noise(rng)
    high = rng.uniform(0.05, 0.08) * height
    long = high * 2.6
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    down = np.floor(rows / high).astype(int)
    shifted = columns + (down % 2) * long / 2
    across = np.floor(shifted / long).astype(int)
    mortar = (rows % high < _SEAM) | (shifted % long < _SEAM)
    tones = noise.normal(0, 0.04, (down.max() + 1, across.max() + 1)).astype(np.float32)
    tone = rng.choice(((206, 202, 196), (182, 140, 120), (196, 188, 172)))
    field = 1 + tones[down, across]
    return _toned(np.where(mortar, field + 0.06, field), tone, size)


def laid(surface: Image.Image, horizon: int) -> Image.Image:
    """The surface as a floor that recedes towards a line `horizon` pixels below its top.

    Only what is below that line is returned: its height is the surface's less `horizon`.
    """
    width, height = surface.size
    # The near edge shows less of the surface's width than the far one, so that lines converge.
    inset = _CONVERGENCE * width
    return surface.transform(
        (width, height - horizon),
        Image.Transform.QUAD,
        (0, 0, inset, height, width - inset, height, width, 0),
        Image.Resampling.BILINEAR,
    )


def _coarse(size: Size) -> Size:
    return math.ceil(size[0] / _COARSE), math.ceil(size[1] / _COARSE)


def _cloud(noise: np.random.Generator, size: Size, across: float, down: float) -> Field:
    """Smooth noise of unit strength whose blots are about `across` by `down` pixels."""
    width, height = size
    cells = (max(2, round(height / down)), max(2, round(width / across)))
    coarse = Image.fromarray(noise.standard_normal(cells, dtype=np.float32))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))


def _toned(field: NDArray[np.floating], tone: RGB, size: Size) -> Image.Image:
    pixels = np.clip(field[..., None].astype(np.float32) * np.asarray(tone, np.float32), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)


def _noise(rng: Random) -> np.random.Generator:
    return np.random.default_rng(rng.getrandbits(64))
