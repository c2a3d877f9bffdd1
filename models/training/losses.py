"""The losses that fine-tuning minimises."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.domain.optional_dependencies import requires_extra
from models.training.network import NetworkOutput
from models.training.probe import class_weights
from models.training.recipe import MetricLoss

SMOOTHING: Final = 0.1
"""The share of the wanted probability that is spread over all categories."""


Loss = Callable[[NetworkOutput, Tensor], Tensor]


def create_loss(
    targets: NDArray[np.int64],
    categories: int,
    metric_loss: MetricLoss,
    metric_weight: float,
    device: torch.device,
) -> Loss:
    """The loss of a batch (network output, category numbers); rare categories are weighted more.

    Cross-entropy with smoothed labels, and the metric loss, if any, times its weight. Raises
    `SetupError` where a metric loss is wanted and its package is not installed.
    """
    weights = torch.from_numpy(class_weights(targets, categories)).to(device)
    metric = None if metric_loss is MetricLoss.NONE else _metric(metric_loss)

    def loss(seen: NetworkOutput, wanted: Tensor) -> Tensor:
        value = functional.cross_entropy(
            seen.logits, wanted, weight=weights, label_smoothing=SMOOTHING
        )
        return value if metric is None else value + metric_weight * metric(seen.vectors, wanted)

    return loss


def _metric(metric_loss: MetricLoss) -> Callable[[Tensor, Tensor], Tensor]:
    with requires_extra("train"):
        # Imported here: only metric losses need it, and serving machines don't have it.
        from pytorch_metric_learning import losses  # noqa: PLC0415
    if metric_loss is MetricLoss.SUPCON:
        return losses.SupConLoss(temperature=0.1)  # type: ignore[no-any-return]
    # As its authors set it.
    return losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)  # type: ignore[no-any-return]
