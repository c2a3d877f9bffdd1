"""The network is the published one: equal to timm's, with the weights that are installed."""

import pytest
import timm
import torch
from torch import Tensor, nn

from models.encoders.networks.architectures import EFFICIENTNET_LITE, InstalledWeights
from models.encoders.networks.build import FeatureNetwork, build_network
from models.encoders.networks.efficientnet_lite import EfficientNetLite
from models.encoders.networks.pooling import MeanPooling
from models.encoders.weights import installed_weights


def made_up_weights(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Values at which no part of the network is without effect: batch norms have statistics."""
    torch.manual_seed(seed)
    values = {}
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            values[name] = torch.rand_like(value) + 0.5
        elif value.is_floating_point():
            values[name] = torch.randn_like(value) * (0.5 if value.dim() == 1 else 0.1)
        else:
            values[name] = value
    return values


@pytest.mark.parametrize("variant", [0, 1, 2])
@pytest.mark.parametrize("side", [64, 97])
def test_it_computes_what_timm_computes(variant: int, side: int) -> None:
    ours = EfficientNetLite(variant).eval()
    theirs = timm.create_model(f"tf_efficientnet_lite{variant}", num_classes=0).eval()
    weights = made_up_weights(ours, variant)
    ours.load_state_dict(weights)
    # Both have the same tensors in the same order, under other names.
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights.values(), strict=True)))
    pixels = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        expected, channels = theirs(pixels), FeatureNetwork(ours, MeanPooling())(pixels)
    assert expected.std() > 0.01
    torch.testing.assert_close(channels, expected, rtol=1e-4, atol=1e-5)


def test_its_stages_each_halve_the_map() -> None:
    network = EfficientNetLite(0).eval()
    network.load_state_dict(made_up_weights(network, 0))
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        maps = pixels
        sides = []
        for stage in network.stages():
            maps = stage(maps)
            sides.append(maps.shape[-1])
    assert sides == [32, 16, 8, 4, 2]
    assert maps.shape[1] == EFFICIENTNET_LITE.dimension


def test_the_installed_weights_are_the_pinned_ones_and_fill_the_network() -> None:
    assert isinstance(EFFICIENTNET_LITE.weights, InstalledWeights)
    weights = installed_weights(EFFICIENTNET_LITE.weights)
    network = build_network(EFFICIENTNET_LITE, weights)
    pixels = torch.rand(1, 3, EFFICIENTNET_LITE.transform.crop, EFFICIENTNET_LITE.transform.crop)
    with torch.inference_mode():
        channels = network(pixels)
    assert channels.shape == (1, EFFICIENTNET_LITE.dimension)
    assert channels.isfinite().all()
