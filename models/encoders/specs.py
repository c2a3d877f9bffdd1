"""The identity of each encoder, known without loading it: no torch and no numpy here.

Every parameter that affects a vector is in a transform, here or with its network. The encoders read
their parameters from it, and the fingerprint is computed from the same object, so that both change
together.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Final

from models.domain.types import EncoderSpec, Precision
from models.encoders.networks.architectures import Architecture, PhotoTransform, Pooling


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


HOG: Final = "hog"
HOG_TRANSFORM: Final = HogTransform()
# Raise it when its vectors change although no parameter did.
HOG_VERSION: Final = 1


def hog_spec() -> EncoderSpec:
    """The identity of the encoder without weights."""
    dimension = HOG_TRANSFORM.gradient_dimension + HOG_TRANSFORM.colour_dimension
    return EncoderSpec(HOG, dimension, _fingerprint(HOG, HOG_VERSION, None, HOG_TRANSFORM))


def network_spec(
    architecture: Architecture,
    weights: str,
    transform: PhotoTransform | None = None,
    int8_network: str | None = None,
) -> EncoderSpec:
    """The identity of a network with weights of this SHA-256 and this transform, or its own.

    `int8_network` is the SHA-256 of the network's file when it was made int8: its scales, which
    depend on the photos it was calibrated with, shape the vectors too. In float32 every runtime
    gives the same vectors, except for rounding.
    """
    precision = Precision.FLOAT32 if int8_network is None else Precision.INT8
    fingerprint = _fingerprint(
        architecture.name,
        architecture.version,
        weights,
        transform or architecture.transform,
        int8_network,
        architecture.pooling,
    )
    return EncoderSpec(architecture.name, architecture.dimension, fingerprint, precision)


def _fingerprint(
    name: str,
    version: int,
    weights: str | None,
    transform: PhotoTransform | HogTransform,
    int8_network: str | None = None,
    pooling: Pooling = Pooling.MEAN,
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
    # Encoders without it were made when there was no other: they keep their fingerprints.
    if pooling is not Pooling.MEAN:
        facts["pooling"] = pooling
    return sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
