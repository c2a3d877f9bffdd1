"""A linear probe: a classifier trained on the vectors of a frozen network.

Kornblith et al., "Do Better ImageNet Models Transfer Better?", CVPR 2019, train it like this: with
L-BFGS, its L2 penalty chosen on held-out photos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.training.data.arrays import OnProgress

# The inverse of the L2 penalty, as scikit-learn's C, from the strongest penalty on.
STRENGTHS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_MAX_ITERATIONS: Final = 200
# Half-way between equal weights of photos and equal weights of categories: rare categories are
# learned as well, at almost no cost to the others.
_BALANCE: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class LinearProbe:
    """A linear classifier on unit vectors: `weight` (categories, dimension), `bias` (categories,).

    `strength` is the inverse of the L2 penalty it was trained with, `accuracy` the share of the
    held-out vectors that it puts into their category.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    accuracy: float


def class_weights(targets: NDArray[np.int64], categories: int) -> NDArray[np.float32]:
    """The weight of a photo of each category, (categories,): higher for rare ones; 1 on average.

    Every category must have a photo among the targets.
    """
    counts = np.bincount(targets, minlength=categories)
    weights = counts.astype(np.float64) ** -_BALANCE
    return (weights * len(targets) / (weights @ counts)).astype(np.float32)


def train_probes(
    vectors: NDArray[np.float32],
    targets: NDArray[np.int64],
    held_out: NDArray[np.float32],
    held_out_targets: NDArray[np.int64],
    on_progress: OnProgress,
) -> list[LinearProbe]:
    """Train a probe on unit vectors (n, dimension) with each of the `STRENGTHS`.

    `targets` are numbers of categories from 0 on, each of which occurs. The same input gives the
    same probes.
    """
    categories = int(targets.max()) + 1
    # Vectors of one network have a large common mean; centring them saves iterations.
    middle = vectors.mean(axis=0)
    inputs, wanted = torch.from_numpy(vectors - middle), torch.from_numpy(targets)
    weights = torch.from_numpy(class_weights(targets, categories))
    weight = torch.zeros(categories, vectors.shape[1], requires_grad=True)
    bias = torch.zeros(categories, requires_grad=True)
    probes = []
    for strength in STRENGTHS:
        # Warm start from the previous probe.
        _descend(weight, bias, inputs, wanted, weights, strength)
        found = weight.detach().numpy().copy()
        offset = bias.detach().numpy() - found @ middle
        right = (held_out @ found.T + offset).argmax(axis=1) == held_out_targets
        probes.append(LinearProbe(found, offset, strength, float(right.mean())))
        on_progress(len(probes), len(STRENGTHS))
    return probes


def best_probe(probes: Sequence[LinearProbe]) -> LinearProbe:
    """The most accurate one; of equals, the one with the strongest penalty."""
    return max(probes, key=lambda probe: (probe.accuracy, -probe.strength))


def _descend(
    weight: Tensor, bias: Tensor, inputs: Tensor, wanted: Tensor, weights: Tensor, strength: float
) -> None:
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MAX_ITERATIONS,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )
    penalty = 1 / (2 * strength * len(inputs))

    def loss() -> Tensor:
        optimiser.zero_grad()
        each = functional.cross_entropy(inputs @ weight.T + bias, wanted, reduction="none")
        value = (weights[wanted] * each).mean() + penalty * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
