"""A ResNet-50 that tests make themselves: real in everything but what it has learned."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from models.encoders.specs import ResNet50Transform
from models.encoders.torchvision_cpu import resnet50

# Small pictures make the same network quick.
SMALL = ResNet50Transform.of_size(64)


def write_weights(path: Path, seed: int = 0) -> Path:
    """Weights as training starts with them, in half precision; another seed gives others."""
    torch.manual_seed(seed)
    state = resnet50(weights=None).state_dict()
    save_file({name: value.half() for name, value in state.items()}, path)
    return path
