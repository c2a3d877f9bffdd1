"""What identifies each encoder, told without loading it: no torch and no numpy here.

Every number that shapes a vector stands in a transform below. The encoders take their numbers from
there, and the fingerprint is made of the same object, so that neither can change without the other.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from models.domain import EncoderSpec
from models.errors import SetupError, WeightsMissing
from models.weights import ProgressCallback, file_sha256, locate_weights


@dataclass(frozen=True, slots=True)
class ResNet50Transform:
    """torchvision's preset for IMAGENET1K_V2.

    The short side becomes `resize` pixels, the middle `crop` x `crop` of it are taken, values in
    [0, 1] are normalised per channel. What other shapes found is in decision 0008.
    """

    resize: int = 232
    crop: int = 224
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class HogTransform:
    """How a photo becomes gradients and colours of the item in it.

    The item is what differs from the colours along the photo's border, and is near its centre.
    Chosen on 1,500 clothing photos and 960 drawn views of 320 items: cutting the item out lifts
    both, blurring the gradients the first, masked colours the second.
    """

    salience_side: int = 48
    """Side, in pixels, of the thumbnail in which the item is looked for."""
    border: int = 2
    """Width, in those pixels, of the border whose colours are taken for the background's."""
    border_step: int = 5
    """Every how manieth border pixel is looked at."""
    contrast: float = 25.0
    """Lab distance from the background that fully counts as item."""
    spread: float = 0.8
    """How far from the centre (0) towards the edge (1) things still count: a variance, doubled."""
    trim: float = 0.02
    """Share of the item that may lie outside its box on each side."""
    margin: float = 0.04
    """Added to each side of the box, as a share of the photo's side."""
    gradient_side: int = 96
    """Side, in pixels, to which the item's box is brought for the gradients."""
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
        """How many numbers the gradients give."""
        blocks = self.gradient_side // self.cell - self.block + 1
        return blocks**2 * self.block**2 * self.orientations

    @property
    def colour_dimension(self) -> int:
        """How many numbers the colours give."""
        return self.colour_side**2 * 3


RESNET50: Final = "resnet50"
RESNET50_DIMENSION: Final = 2048
RESNET50_TRANSFORM: Final = ResNet50Transform()

HOG: Final = "hog"
HOG_TRANSFORM: Final = HogTransform()

# Raise an encoder's version when its vectors change though none of its numbers did.
RESNET50_VERSION: Final = 1
HOG_VERSION: Final = 1


def locate_encoder(
    name: str,
    weights: Path | None,
    models_dir: Path,
    *,
    on_progress: ProgressCallback | None = None,
) -> tuple[EncoderSpec, Path | None]:
    """Find the weights that an encoder needs, if any, and say what identifies it with them.

    Raises as `locate_weights` and `resolve_spec` do.
    """
    located = None
    if name == RESNET50:
        located = locate_weights(weights, models_dir, on_progress=on_progress)
    return resolve_spec(name, located), located


def resolve_spec(name: str, weights: Path | None) -> EncoderSpec:
    """Say what identifies an encoder with these weights; reads the file's hash, loads nothing.

    `weights` matters to encoders that have any. Raises `WeightsMissing` if such an encoder is not
    given a file, and `SetupError` if there is no encoder of that name.
    """
    if name == RESNET50:
        if weights is None or not weights.is_file():
            raise WeightsMissing(f"The encoder {name} needs a file of weights.")
        fingerprint = _fingerprint(name, RESNET50_VERSION, file_sha256(weights), RESNET50_TRANSFORM)
        return EncoderSpec(name, RESNET50_DIMENSION, fingerprint)
    if name == HOG:
        dimension = HOG_TRANSFORM.gradient_dimension + HOG_TRANSFORM.colour_dimension
        return EncoderSpec(name, dimension, _fingerprint(name, HOG_VERSION, None, HOG_TRANSFORM))
    raise SetupError(f"There is no encoder named {name!r}; choose {RESNET50} or {HOG}.")


def _fingerprint(
    name: str, version: int, weights: str | None, transform: ResNet50Transform | HogTransform
) -> str:
    facts = {
        "encoder": name,
        "version": version,
        "weights": weights,
        "transform": asdict(transform),
        "precision": "float32",
    }
    return sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
