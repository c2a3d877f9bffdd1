"""A network for fine-tuning: frozen first stages, trained last ones, and a cosine classifier."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoders.networks.build import FeatureNetwork


class NetworkOutput(NamedTuple):
    """A network's output: unit vectors (n, dimension), logits (n, categories)."""

    vectors: Tensor
    logits: Tensor


class FineTunedNetwork(nn.Module):
    """A network without its last layer, the last `stages` of which learn, and a category head.

    The head compares unit vectors with one unit vector a category; cosines times `scale` are the
    logits (Wang et al., "NormFace", ACM MM 2017). Training therefore optimises the similarity that
    searches use, and the head is a `CategoryHead` without conversion. `weight` (categories,
    dimension) is where it begins.

    Batch normalisation always uses the averages that the network came with: those of a batch of
    few small photos were worse by 4 points of accuracy in our measurements.

    With `mixed`, stages compute in mixed precision (bfloat16).
    """

    def __init__(
        self, network: FeatureNetwork, stages: int, weight: Tensor, *, scale: float, mixed: bool
    ) -> None:
        super().__init__()
        parts = network.stages()
        if not 1 <= stages <= len(parts):
            raise ValueError(f"it has 1 to {len(parts)} stages to train, not {stages}")
        self.frozen = nn.Sequential(*parts[: len(parts) - stages]).requires_grad_(False)
        self.tuned = nn.Sequential(*parts[len(parts) - stages :]).requires_grad_(True)
        self.pool = network.pool
        self.weight = nn.Parameter(weight.clone())
        self._scale = scale
        self._mixed = mixed
        self.eval()

    def forward(self, pixels: Tensor) -> NetworkOutput:
        """The output for normalised photos (n, 3, height, width)."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self._mixed):
            with torch.no_grad():
                maps = self.frozen(pixels)
            maps = self.tuned(maps)
        vectors = functional.normalize(self.pool(maps.float()), dim=1)
        return NetworkOutput(vectors, vectors @ self.head_weight().T)

    def head_weight(self) -> Tensor:
        """The head as a linear classifier on unit vectors, (categories, dimension)."""
        return self._scale * functional.normalize(self.weight, dim=1)

    def trainable_parameters(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name; the tensors themselves."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}
