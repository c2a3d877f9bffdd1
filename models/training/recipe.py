"""Hyperparameters of fine-tuning. No torch is imported."""

from dataclasses import dataclass
from enum import StrEnum


class MetricLoss(StrEnum):
    """A loss on the vectors themselves, beside that on the categories.

    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, and Wang et al.,
    "Multi-Similarity Loss with General Pair Weighting", CVPR 2019.
    """

    NONE = "none"
    SUPCON = "supcon"
    MULTISIMILARITY = "multisimilarity"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters of fine-tuning; the defaults were the best on 1,835 clothing listings.

    `stages` is how many of the last stages are trained, `size` the input's side in pixels at
    inference, `lr` the peak learning rate of the last stage and the head, `metric_weight` the
    weight of the metric loss, `patience` the epochs without improvement before early stopping.
    """

    stages: int = 1
    size: int = 160
    epochs: int = 8
    batch: int = 32
    lr: float = 2e-3
    metric_loss: MetricLoss = MetricLoss.SUPCON
    metric_weight: float = 0.5
    patience: int = 4
    seed: int = 0
