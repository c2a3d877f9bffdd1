"""A part of a photo, so that one thing in it can be searched for."""

from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

from models.domain.errors import InvalidPhoto

MIN_SIDE: Final = 16
"""Pixels: encoders see nothing in less."""

AUTO: Final = "auto"
"""Instead of a region: that of the photo's subject, which is found when it is searched for."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of an upright photo, in fractions of its width and height; (0, 0) is top left.

    `x` and `y` are its top left corner, `w` and `h` its size.
    """

    x: float
    y: float
    w: float
    h: float

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, upper, right and lower edge in a photo of this size, in pixels.

        Raises InvalidPhoto if that is less than `MIN_SIDE` pixels a side.
        """
        left, right = round(self.x * width), min(round((self.x + self.w) * width), width)
        upper, lower = round(self.y * height), min(round((self.y + self.h) * height), height)
        if min(right - left, lower - upper) < MIN_SIDE:
            raise InvalidPhoto(
                f"The region has {right - left} x {lower - upper} pixels of the photo as it is "
                f"kept, {width} x {height}; at least {MIN_SIDE} a side are needed."
            )
        return left, upper, right, lower

    def crop(self, photo: Image.Image) -> Image.Image:
        """This part of the photo. Raises as `box` does."""
        return photo.crop(self.box(photo.width, photo.height))


SearchedRegion = Region | Literal["auto"]
"""The part of a photo that is searched for: drawn, or found."""
