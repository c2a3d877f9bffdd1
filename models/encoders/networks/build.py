"""Builds a network from its weights, and says which network a file has the weights of."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

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
from models.encoders.networks.resnet50 import ResNet50
from models.encoders.networks.state_dict import fit_state_dict, read_state_dict

FeatureNetwork = ResNet50 | EfficientNetLite
"""A network without its classifier.

Called with normalised photos (n, 3, height, width), it gives the mean of its last feature map,
(n, dimension). Its `stages()`, one after the other, give that map. Its state dict has the names of
its files of weights.
"""


class _Plan(NamedTuple):
    """How a network is made, and how the names of its classifier's weights begin."""

    create: Callable[[], FeatureNetwork]
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
    return _filled(architecture, read_state_dict(weights), weights)


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


def _filled(
    architecture: Architecture, tensors: Mapping[str, Tensor], weights: Path
) -> FeatureNetwork:
    network = _skeleton(architecture.name)
    classifier = _PLANS[architecture.name].classifier
    features = {
        name: value
        for name, value in tensors.items()
        if not name.startswith(classifier)  # the classes of whatever it was trained on
    }
    network.load_state_dict(fit_state_dict(features, network.state_dict(), weights), assign=True)
    network.eval().requires_grad_(requires_grad=False)
    return in_memory_format(network, torch.channels_last)


def in_memory_format(network: FeatureNetwork, order: torch.memory_format) -> FeatureNetwork:
    """The network itself, with its convolutions' weights in that order."""
    moved: FeatureNetwork = network.to(memory_format=order)  # type: ignore[call-overload] # untyped
    return moved


def _skeleton(name: str) -> FeatureNetwork:
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
