"""Builds a network from its weights, and says which network a file has the weights of."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from models.encoders.networks import efficientnet_lite, resnet50
from models.encoders.networks.architectures import (
    ARCHITECTURES,
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE1,
    EFFICIENTNET_LITE2,
    RESNET50,
    Architecture,
)
from models.encoders.networks.efficientnet_lite import EfficientNetLite
from models.encoders.networks.pooling import pooling_named
from models.encoders.networks.resnet50 import ResNet50
from models.encoders.networks.state_dict import fit_state_dict, read_state_dict

Body = ResNet50 | EfficientNetLite
"""A network up to its last feature map: its `stages()`, one after the other, give it.

Its state dict has the names of its files of weights.
"""


class FeatureNetwork(nn.Module):
    """A network without its classifier: a body, and the pooling of its last feature map."""

    def __init__(self, body: Body, pool: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.pool = pool

    def stages(self) -> tuple[nn.Module, ...]:
        """The stages of the body."""
        return self.body.stages()

    def forward(self, pixels: Tensor) -> Tensor:
        """Channels (n, dimension) of normalised photos (n, 3, height, width)."""
        channels: Tensor = self.pool(self.feature_maps(pixels))
        return channels

    def feature_maps(self, pixels: Tensor) -> Tensor:
        """The last feature maps (n, dimension, rows, columns) of normalised photos."""
        maps = pixels
        for stage in self.stages():
            maps = stage(maps)
        return maps


class _Plan(NamedTuple):
    """How a network is made, and how the names of its classifier's weights begin."""

    create: Callable[[], Body]
    classifier: str


_PLANS: Final = {
    RESNET50.name: _Plan(ResNet50, resnet50.CLASSIFIER),
    **{
        one.name: _Plan(partial(EfficientNetLite, variant), efficientnet_lite.CLASSIFIER)
        for variant, one in enumerate((EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2))
    },
}


def build_network(architecture: Architecture, weights: Path) -> FeatureNetwork:
    """The network with these weights, for float32 on the CPU.

    Takes normalised photos as (photos, 3, height, width), gives (photos, dimension). Raises
    `WeightsRefused`.
    """
    body = _filled(architecture, read_state_dict(weights), weights)
    return in_memory_format(
        FeatureNetwork(body, pooling_named(architecture.pooling)), torch.channels_last
    )


def recognise(weights: Path) -> Architecture:
    """The network whose weights a file has, every one of them.

    Raises `WeightsRefused` if it is damaged, unsafe, or of no network here: it says what the most
    similar one would need.
    """
    tensors = read_state_dict(weights)
    overlap = {name: len(_skeleton(name).state_dict().keys() & tensors) for name in ARCHITECTURES}
    # Variants of one network can share all names: shapes tell them apart.
    likely = [one for name, one in ARCHITECTURES.items() if overlap[name] == max(overlap.values())]
    architecture = max(likely, key=lambda one: _equal_shapes(one.name, tensors))
    _filled(architecture, tensors, weights)
    return architecture


def _filled(architecture: Architecture, tensors: Mapping[str, Tensor], weights: Path) -> Body:
    network = _skeleton(architecture.name)
    classifier = _PLANS[architecture.name].classifier
    features = {
        name: value
        for name, value in tensors.items()
        if not name.startswith(classifier)  # the classes of whatever it was trained on
    }
    network.load_state_dict(fit_state_dict(features, network.state_dict(), weights), assign=True)
    network.eval().requires_grad_(requires_grad=False)
    return network


def in_memory_format(network: FeatureNetwork, order: torch.memory_format) -> FeatureNetwork:
    """The network itself, with its convolutions' weights in that order."""
    moved: FeatureNetwork = network.to(memory_format=order)  # type: ignore[call-overload] # untyped
    return moved


def _skeleton(name: str) -> Body:
    """The network without storage, so that no value can be left untrained.

    `assign` puts a file's tensors in place; what it did not fill could not be computed with.
    """
    with torch.device("meta"):
        return _PLANS[name].create()


def _equal_shapes(name: str, tensors: Mapping[str, Tensor]) -> int:
    return sum(
        name in tensors and tensors[name].shape == value.shape
        for name, value in _skeleton(name).state_dict().items()
    )
