"""The identity of each encoder, known without loading it: no torch and no numpy here.

Every parameter that affects a vector is in a transform below. The encoders read their parameters
from it, and the fingerprint is computed from the same object, so that both change together.
"""

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from models.domain.durable_files import sha256_of
from models.domain.errors import SetupError, WeightsMissing
from models.domain.types import EncoderSpec, Precision


@dataclass(frozen=True, slots=True)
class ResNet50Transform:
    """torchvision's preset for IMAGENET1K_V2.

    The short side becomes `resize` pixels, the middle `crop` x `crop` of it are taken, values in
    [0, 1] are normalised per channel. Decision 0008 compares other shapes.
    """

    resize: int = 232
    crop: int = 224
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @classmethod
    def of_size(cls, crop: int) -> Self:
        """The preset for squares of `crop` pixels, which keep as much of the photo as 224 do."""
        preset = cls()
        return replace(preset, resize=crop * preset.resize // preset.crop, crop=crop)


@dataclass(frozen=True, slots=True)
class HogTransform:
    """How a photo becomes gradients and colours of the item in it.

    The item is what differs from the colours along the photo's border, and is near its centre.
    Chosen on 1,500 clothing photos and 960 drawn views of 320 items: cutting the item out lifts
    both, blurring the gradients the first, masked colours the second.
    """

    salience_side: int = 48
    """Side, in pixels, of the thumbnail in which the item is located."""
    border: int = 2
    """Width, in those pixels, of the border whose colours count as background."""
    border_step: int = 5
    """Sampling interval of border pixels."""
    contrast: float = 25.0
    """Lab distance from the background that fully counts as item."""
    spread: float = 0.8
    """Twice the variance of the Gaussian centre prior, from the centre (0) to the edge (1)."""
    trim: float = 0.02
    """Share of the item that may lie outside its box on each side."""
    margin: float = 0.04
    """Added to each side of the box, as a share of the photo's side."""
    gradient_side: int = 96
    """Side, in pixels, to which the item's box is resized for the gradients."""
    blur: float = 2.0
    """Standard deviation, in those pixels, of the blur before gradients are taken."""
    orientations: int = 9
    cell: int = 16
    """Side of a cell in pixels."""
    block: int = 2
    """Side of a block in cells."""
    colour_side: int = 8
    """Side, in pixels, of the item's Lab thumbnail."""
    lightness_weight: float = 0.5
    """Weight of L against a and b: light changes from photo to photo more than colour does."""
    colour_weight: float = 0.5
    """Length of the colours' part of the vector when the gradients' part has length 1."""

    @property
    def gradient_dimension(self) -> int:
        """The dimension of the gradients' part."""
        blocks = self.gradient_side // self.cell - self.block + 1
        return blocks**2 * self.block**2 * self.orientations

    @property
    def colour_dimension(self) -> int:
        """The dimension of the colours' part."""
        return self.colour_side**2 * 3


RESNET50: Final = "resnet50"
RESNET50_DIMENSION: Final = 2048
RESNET50_TRANSFORM: Final = ResNet50Transform()

HOG: Final = "hog"
HOG_TRANSFORM: Final = HogTransform()

# Raise an encoder's version when its vectors change although no parameter did.
RESNET50_VERSION: Final = 1
HOG_VERSION: Final = 1


def resolve_spec(name: str, weights: Path | None) -> EncoderSpec:
    """The identity of an encoder with these weights; hashes the file, loads nothing.

    `weights` is ignored by encoders without weights. Raises `WeightsMissing` if such an encoder is
    not given a file, and `SetupError` if there is no encoder of that name.
    """
    if name == RESNET50:
        if weights is None or not weights.is_file():
            raise WeightsMissing(f"The encoder {name} needs a file of weights.")
        return resnet50_spec(sha256_of(weights), RESNET50_TRANSFORM)
    if name == HOG:
        dimension = HOG_TRANSFORM.gradient_dimension + HOG_TRANSFORM.colour_dimension
        return EncoderSpec(name, dimension, _fingerprint(name, HOG_VERSION, None, HOG_TRANSFORM))
    raise SetupError(f"There is no encoder named {name!r}; choose {RESNET50} or {HOG}.")


def resnet50_spec(
    weights: str, transform: ResNet50Transform, int8_network: str | None = None
) -> EncoderSpec:
    """The identity of a ResNet-50 with weights of this SHA-256 and this transform.

    `int8_network` is the SHA-256 of the network's file when it was made int8: its scales, which
    depend on the photos it was calibrated with, shape the vectors too. In float32 every runtime
    gives the same vectors, except for rounding.
    """
    precision = Precision.FLOAT32 if int8_network is None else Precision.INT8
    fingerprint = _fingerprint(RESNET50, RESNET50_VERSION, weights, transform, int8_network)
    return EncoderSpec(RESNET50, RESNET50_DIMENSION, fingerprint, precision)


def _fingerprint(
    name: str,
    version: int,
    weights: str | None,
    transform: ResNet50Transform | HogTransform,
    int8_network: str | None = None,
) -> str:
    facts: dict[str, object] = {
        "encoder": name,
        "version": version,
        "weights": weights,
        "transform": asdict(transform),
        "precision": Precision.FLOAT32,
    }
    if int8_network is not None:
        facts |= {"precision": Precision.INT8, "network": int8_network}
    return sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
