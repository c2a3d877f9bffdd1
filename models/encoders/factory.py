"""Encoders by name."""

from pathlib import Path

from models.encoders.base import Encoder
from models.encoders.specs import HOG, resolve_spec
from models.errors import WeightsMissing

# Each encoder is imported only when it is asked for: `hog` must not pay for torch, which takes
# seconds and 200 MB, and must work where torch does not.
# ruff: noqa: PLC0415


def create_encoder(name: str, weights: Path | None, threads: int) -> Encoder:
    """Make the encoder that `resolve_spec(name, weights)` describes, not loaded yet.

    `threads` is how many threads it may compute with. Raises as `resolve_spec` does.
    """
    spec = resolve_spec(name, weights)
    if spec.name == HOG:
        from models.encoders.hog import HogEncoder

        return HogEncoder(spec)
    if weights is None:
        raise WeightsMissing(f"The encoder {name} needs a file of weights.")
    from models.encoders.resnet50 import ResNet50Encoder

    return ResNet50Encoder(spec, weights, threads)
