"""How a network is fine-tuned, as plain values: no torch here."""

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
    """How a network is fine-tuned; the defaults are what was best on 1,835 clothing listings.

    `stages` is how many of the last ones learn, `size` the side in pixels of what the network sees
    once it is trained, `lr` the last stage's and the head's greatest learning rate,
    `metric_weight` what the metric loss counts, `patience` after how many epochs without a better
    one it ends.
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
