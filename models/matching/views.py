"""Altered views of photos: what another photo of the same thing, by another hand, may look like."""

from io import BytesIO
from random import Random
from typing import Final

from PIL import Image, ImageEnhance

TURN: Final = 6.0
"""Degrees that a view is turned by, at most, either way."""
KEPT_AREA: Final = (0.6, 0.92)
"""The share of the photo's area that a view shows."""
STRETCH: Final = (0.9, 1.1)
"""By how much the sides' ratio differs from the photo's."""
BRIGHTNESS: Final = (0.75, 1.25)
CONTRAST: Final = (0.85, 1.15)
SATURATION: Final = (0.8, 1.2)
CAST: Final = (0.93, 1.07)
"""Factors of each channel: another white balance."""
QUALITY: Final = (40, 85)
"""JPEG quality."""

# What turning brings in from beyond the photo is not shown, where it is so near the edge.
_EDGE: Final = 0.02


def altered_view(photo: Image.Image, rng: Random) -> Image.Image:
    """The upright RGB photo turned a little, cropped, in another light, and compressed again."""
    turned = photo.rotate(rng.uniform(-TURN, TURN), Image.Resampling.BICUBIC)
    cropped = turned.crop(_frame(turned.size, rng))
    lit = ImageEnhance.Brightness(cropped).enhance(rng.uniform(*BRIGHTNESS))
    lit = ImageEnhance.Contrast(lit).enhance(rng.uniform(*CONTRAST))
    lit = ImageEnhance.Color(lit).enhance(rng.uniform(*SATURATION))
    factors = [rng.uniform(*CAST) for _ in lit.getbands()]
    bands = [
        band.point([min(255, round(value * factor)) for value in range(256)])
        for band, factor in zip(lit.split(), factors, strict=True)
    ]
    file = BytesIO()
    Image.merge("RGB", bands).save(file, "JPEG", quality=rng.randint(*QUALITY))
    with Image.open(file) as view:
        return view.convert("RGB")


def _frame(size: tuple[int, int], rng: Random) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part that is kept: a pixel at least."""
    area, stretch = rng.uniform(*KEPT_AREA), rng.uniform(*STRETCH)
    shares = ((area * stretch) ** 0.5, (area / stretch) ** 0.5)
    starts, ends = [], []
    for side, share in zip(size, shares, strict=True):
        length = max(1, round(side * min(share, 1 - 2 * _EDGE)))
        start = round(rng.uniform(_EDGE * side, (1 - _EDGE) * side - length))
        start = max(0, min(start, side - length))
        starts.append(start)
        ends.append(start + length)
    return starts[0], starts[1], ends[0], ends[1]
