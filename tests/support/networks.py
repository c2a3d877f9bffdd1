"""Networks that tests make themselves: real in everything but what they have learned."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.encoders.networks.architectures import EFFICIENTNET_LITE0, RESNET50, Architecture
from models.encoders.networks.efficientnet_lite import EfficientNetLite
from models.encoders.networks.resnet50 import ResNet50

# The quickest one, for tests of what is the same for all.
NETWORK = EFFICIENTNET_LITE0
# Small pictures make the same network quick.
SMALL = NETWORK.transform.of_size(64)

_CREATE: dict[str, Callable[[], nn.Module]] = {
    EFFICIENTNET_LITE0.name: lambda: EfficientNetLite(0),
    RESNET50.name: ResNet50,
}


def untrained(architecture: Architecture = NETWORK, seed: int = 0) -> dict[str, Tensor]:
    """A state dict as training could start with it; another seed gives another."""
    torch.manual_seed(seed)
    network = _CREATE[architecture.name]()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            # Signals must keep their size through all layers, or all photos look the same.
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return network.state_dict()


def write_weights(path: Path, seed: int = 0, architecture: Architecture = NETWORK) -> Path:
    """Those weights in half precision."""
    state = untrained(architecture, seed)
    save_file({name: value.half().contiguous() for name, value in state.items()}, path)
    return path
