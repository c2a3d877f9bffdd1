"""Pooling of a network's last feature map: how its cells become one number a channel."""

from typing import Final

import torch
from torch import Tensor, nn

from models.encoders.networks.architectures import Pooling

SPREAD: Final = 1.5
"""Standard deviation of the weight of cells, from the middle of the map (0) to its edge (1)."""
EVENING: Final = 0.2
"""How far cells that are active in everything count less: the power of their energy's inverse."""
SMALLEST: Final = 1e-12


class MeanPooling(nn.Module):
    """The mean of all cells."""

    def forward(self, maps: Tensor) -> Tensor:
        """Channels (n, c) of maps (n, c, height, width)."""
        return maps.mean(dim=(2, 3))


class FocusedPooling(nn.Module):
    """The quadratic mean of cells, weighted towards the middle, where the subject is.

    Squares favour what a channel sees clearly in a few cells over what is everywhere a little, as
    backgrounds are (GeM with p = 2: Radenović et al., "Fine-tuning CNN Image Retrieval with No
    Human Annotation", TPAMI 2019). Cells are evened out a little, so that none speaks for all.
    Decision 0022 compares the alternatives.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Channels (n, c) of maps (n, c, height, width)."""
        squares = maps * maps
        energy = squares.sum(dim=1, keepdim=True).clamp_min(SMALLEST)
        weights = _towards_the_middle(*maps.shape[2:]).to(maps) * energy.pow(-EVENING)
        return (squares * weights).sum(dim=(2, 3)).clamp_min(SMALLEST).sqrt()


def pooling_named(pooling: Pooling) -> nn.Module:
    """The module that does it."""
    return MeanPooling() if pooling is Pooling.MEAN else FocusedPooling()


def _towards_the_middle(height: int, width: int) -> Tensor:
    """Weights of cells (height, width) that sum to 1."""
    down, across = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    distance = down[:, None] ** 2 + across[None] ** 2
    weights = torch.exp(-distance / (2 * SPREAD**2))
    return weights / weights.sum()
