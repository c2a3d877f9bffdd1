import numpy as np
import pytest
import torch

from models.training.losses import Loss, create_loss
from models.training.network import NetworkOutput
from models.training.recipe import MetricLoss

CPU = torch.device("cpu")
TARGETS = np.array([0, 0, 0, 0, 1, 1, 2])


def created(metric_loss: MetricLoss, weight: float = 1.0) -> Loss:
    return create_loss(TARGETS, 3, metric_loss, weight, CPU)


def seen(vectors: list[list[float]]) -> NetworkOutput:
    unit = torch.nn.functional.normalize(torch.tensor(vectors), dim=1)
    return NetworkOutput(unit, 16 * unit)


@pytest.mark.parametrize("metric_loss", list(MetricLoss))
def test_what_is_put_right_costs_less(metric_loss: MetricLoss) -> None:
    loss = created(metric_loss)
    wanted = torch.tensor([0, 0, 1, 1])
    right = seen([[1, 0.1, 0], [1, 0, 0.1], [0, 1, 0.1], [0.1, 1, 0]])
    wrong = seen([[1, 0.1, 0], [0, 1, 0.1], [1, 0, 0.1], [0.1, 1, 0]])
    assert loss(right, wanted) < loss(wrong, wanted)


@pytest.mark.parametrize("metric_loss", [MetricLoss.SUPCON, MetricLoss.MULTISIMILARITY])
def test_a_metric_loss_is_about_vectors_alone(metric_loss: MetricLoss) -> None:
    wanted = torch.tensor([0, 0, 1, 1])
    logits = torch.zeros(4, 3)
    apart = seen([[1, 0.5, 0], [1, -0.5, 0], [0, 1, 0.5], [0, 1, -0.5]]).vectors
    together = seen([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 1, 0.01]]).vectors
    plain, metric = created(MetricLoss.NONE), created(metric_loss)
    assert plain(NetworkOutput(apart, logits), wanted) == plain(
        NetworkOutput(together, logits), wanted
    )
    assert metric(NetworkOutput(apart, logits), wanted) > metric(
        NetworkOutput(together, logits), wanted
    )
    weightless = created(metric_loss, weight=0.0)
    assert weightless(NetworkOutput(apart, logits), wanted) == plain(
        NetworkOutput(apart, logits), wanted
    )


def test_a_mistake_about_a_rare_category_costs_more() -> None:
    loss = created(MetricLoss.NONE)
    wanted = torch.tensor([0, 2])
    misses_usual = NetworkOutput(torch.zeros(2, 3), torch.tensor([[0.0, 5, 0], [0, 0, 5]]))
    misses_rare = NetworkOutput(torch.zeros(2, 3), torch.tensor([[5.0, 0, 0], [0, 5, 0]]))
    assert loss(misses_rare, wanted) > loss(misses_usual, wanted)
