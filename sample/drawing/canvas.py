"""The square an item is drawn on, part by part, from back to front."""

import math
from functools import partial

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from sample.drawing.colours import RGB, darker, lighter
from sample.drawing.outlines import Pair, Points, closed, dashes, frame, moved, oval
from sample.drawing.shades import Shade

SIZE = 1000
"""Pixels on a side. Photos show an item at half that or less, which smooths its edges."""

Paint = RGB | Image.Image
"""One colour, or an RGB picture of SIZE x SIZE from which a part takes what it covers."""

_SHADOW = (14, 10, 20)
_LIGHT = (255, 254, 248)
_SMALL = 26
_COARSE = 4


class Canvas:
    """An RGB picture with its own opacity, transparent at first."""

    def __init__(self) -> None:
        self._rgb = Image.new("RGB", (SIZE, SIZE))
        self._alpha = Image.new("L", (SIZE, SIZE))

    def fill(
        self,
        outline: Points,
        paint: Paint,
        shade: Shade | None = None,
        *,
        rim: float = 0.4,
        within: Points | None = None,
        fit: bool = False,
    ) -> None:
        """Paints an outline. `rim` darkens its edge, `within` clips it to another outline, and
        `fit` scales the picture to fill it instead of cutting the covered part out.
        """
        bounds = frame([outline])
        mask = _mask(outline, bounds)
        if within is not None:
            mask = ImageChops.multiply(mask, _mask(within, bounds))
        tile = _tile(paint, bounds, fit=fit)
        if shade is not None:
            _light(tile, shade)
        if rim:
            tile.paste(_SHADOW, mask=_rim(outline, mask, bounds, rim))
        self._lay(tile, bounds, mask)

    def stroke(self, path: Points, width: float, colour: RGB, within: Points | None = None) -> None:
        """Draws a path with round ends, `width` pixels wide."""
        bounds = frame([path], width)
        mask = _line_mask(path, width, bounds)
        if within is not None:
            mask = ImageChops.multiply(mask, _mask(within, bounds))
        self._lay(_tile(colour, bounds, fit=False), bounds, mask)

    def tube(self, path: Points, width: float, colour: RGB) -> None:
        """Draws a path as a round bar with a lit upper left side."""
        self.stroke(path, width, darker(colour, 0.45))
        self.stroke(moved(path, -width * 0.06, -width * 0.06), width * 0.74, colour)
        glint = moved(path, -width * 0.16, -width * 0.16)
        self.stroke(glint, width * 0.2, lighter(colour, 0.5))

    def stitches(self, path: Points, colour: RGB, width: float = 4, dash: float = 13) -> None:
        """Draws a path as a seam."""
        for piece in dashes(path, dash, dash * 0.7):
            self.stroke(piece, width, colour)

    def ring(self, outline: Points, width: float, colour: RGB) -> None:
        """Draws the edge of an outline."""
        self.stroke(closed(outline), width, colour)

    def disc(
        self, x: float, y: float, radius: float, paint: Paint, shade: Shade | None = None
    ) -> None:
        """Paints a circle."""
        self.fill(oval(x, y, radius), paint, shade)

    def shadow(
        self, outline: Points, strength: float = 0.45, blur: float = 14, shift: Pair = (8, 12)
    ) -> None:
        """Darkens what is drawn already, as a part lying on it would."""
        self._tint(moved(outline, *shift), _SHADOW, strength, blur)

    def gleam(self, outline: Points, strength: float = 0.5, blur: float = 4) -> None:
        """Lightens what is drawn already, as a reflection would."""
        self._tint(outline, _LIGHT, strength, blur)

    def tint(self, outline: Points, colour: RGB, strength: float, blur: float = 0) -> None:
        """Mixes a colour into what is drawn already."""
        self._tint(outline, colour, strength, blur)

    def erase(self, outline: Points) -> None:
        """Makes an outline transparent again."""
        bounds = frame([outline])
        self._alpha.paste(0, bounds, _mask(outline, bounds))

    def text(self, centre: Pair, words: str, height: float, colour: RGB, turn: float = 0) -> None:
        """Writes a few words about a centre, turned clockwise by `turn` degrees."""
        font = ImageFont.load_default(height)
        width = math.ceil(font.getlength(words)) + 4
        mask = Image.new("L", (width, math.ceil(height * 1.4)))
        ImageDraw.Draw(mask).text((width / 2, mask.height / 2), words, 255, font, anchor="mm")
        mask = mask.rotate(-turn, Image.Resampling.BICUBIC, expand=True)
        corner = (round(centre[0] - mask.width / 2), round(centre[1] - mask.height / 2))
        self._rgb.paste(colour, corner, mask)

    def picture(self) -> Image.Image:
        """What was drawn, as RGBA, cut to its edges."""
        whole = self._rgb.convert("RGBA")
        whole.putalpha(self._alpha)
        return whole.crop(self._alpha.getbbox())

    def _lay(self, tile: Image.Image, bounds: tuple[int, int, int, int], mask: Image.Image) -> None:
        self._rgb.paste(tile, bounds[:2], mask)
        self._alpha.paste(255, bounds, mask)

    def _tint(self, outline: Points, colour: RGB, strength: float, blur: float) -> None:
        bounds = frame([outline], 3 * blur)
        mask = _soft(_mask(outline, bounds), blur) if blur else _mask(outline, bounds)
        self._rgb.paste(colour, bounds[:2], mask.point(partial(_scaled, strength)))


def _mask(outline: Points, bounds: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", (bounds[2] - bounds[0], bounds[3] - bounds[1]))
    ImageDraw.Draw(mask).polygon(_local(outline, bounds), fill=255)
    return mask


def _line_mask(path: Points, width: float, bounds: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", (bounds[2] - bounds[0], bounds[3] - bounds[1]))
    draw = ImageDraw.Draw(mask)
    places = _local(path, bounds)
    draw.line(places, fill=255, width=max(1, round(width)), joint="curve")
    for x, y in (places[:2], places[-2:]):
        draw.circle((x, y), width / 2, fill=255)
    return mask


def _local(points: Points, bounds: tuple[int, int, int, int]) -> list[float]:
    places: list[float] = (points - bounds[:2]).ravel().tolist()
    return places


def _tile(paint: Paint, bounds: tuple[int, int, int, int], *, fit: bool) -> Image.Image:
    size = (bounds[2] - bounds[0], bounds[3] - bounds[1])
    if not isinstance(paint, Image.Image):
        return Image.new("RGB", size, paint)
    return ImageOps.fit(paint, size, Image.Resampling.BICUBIC) if fit else paint.crop(bounds)


def _light(tile: Image.Image, shade: Shade) -> None:
    field = Image.fromarray(np.clip(shade * 127 + 128, 0, 255).astype(np.uint8))
    field = field.resize(tile.size, Image.Resampling.BICUBIC)
    tile.paste(_SHADOW, mask=field.point([max(0, 2 * (128 - value)) for value in range(256)]))
    tile.paste(_LIGHT, mask=field.point([max(0, 2 * (value - 128)) for value in range(256)]))


def _rim(
    outline: Points, mask: Image.Image, bounds: tuple[int, int, int, int], strength: float
) -> Image.Image:
    rim = Image.new("L", mask.size)
    ImageDraw.Draw(rim).line(_local(closed(outline), bounds), fill=110, width=5)
    if min(mask.size) > _SMALL:
        inner = _soft(mask, min(16, min(mask.size) * 0.07))
        rim = ImageChops.add(rim, ImageChops.invert(inner))
    return rim.point(partial(_scaled, strength))


def _soft(mask: Image.Image, blur: float) -> Image.Image:
    """Blurs at a quarter of the size: a soft edge needs no more, and costs a tenth."""
    width, height = mask.size
    small = mask.resize(
        (max(1, width // _COARSE), max(1, height // _COARSE)), Image.Resampling.BOX
    ).filter(ImageFilter.GaussianBlur(blur / _COARSE))
    return small.resize(mask.size, Image.Resampling.BILINEAR)


def _scaled(strength: float, value: float) -> float:
    return value * strength
