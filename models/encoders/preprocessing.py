"""Photos to the pixels that networks see. One function, whatever runs the network.

numpy and Pillow only: a worker that runs an exported network carries no torch.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoders.networks.architectures import PhotoTransform

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def to_pixels(photo: Image.Image, transform: PhotoTransform) -> NDArray[np.float32]:
    """An upright RGB photo as a network sees it: (3, crop, crop), normalised.

    The same to the last bit as torchvision's preset with the same numbers.
    """
    return _normalised(_cropped(photo, transform), transform)


def whole_photo(photo: Image.Image, transform: PhotoTransform) -> NDArray[np.float32]:
    """All of an upright RGB photo, its sides made equal: (3, crop, crop), normalised.

    To say where in a photo something is: what is embedded lacks its ends.
    """
    side = transform.crop
    square = photo.resize((side, side), _RESAMPLING[transform.interpolation])
    return _normalised(square, transform)


def _normalised(photo: Image.Image, transform: PhotoTransform) -> NDArray[np.float32]:
    square = np.asarray(photo)
    # A channel has 256 values at most: each is normalised once, then looked up.
    values = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
    table = (values - np.array(transform.mean, np.float32)) / np.array(transform.std, np.float32)
    return np.stack([table[:, channel][square[:, :, channel]] for channel in range(3)])


def _cropped(photo: Image.Image, transform: PhotoTransform) -> Image.Image:
    short = min(photo.size)
    if short != transform.resize:
        # Rounded down, as torchvision does.
        size = (
            photo.width * transform.resize // short,
            photo.height * transform.resize // short,
        )
        photo = photo.resize(size, _RESAMPLING[transform.interpolation])
    left = round((photo.width - transform.crop) / 2)
    top = round((photo.height - transform.crop) / 2)
    return photo.crop((left, top, left + transform.crop, top + transform.crop))
