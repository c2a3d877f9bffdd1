import numpy as np
import pytest
import torch

from models.head import CategoryHead
from models.training.network import FineTunedNetwork, NetworkOutput
from tests.support.training import small_resnet, small_tuned


def some_pixels() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def step(network: FineTunedNetwork) -> NetworkOutput:
    """Learn something."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    seen: NetworkOutput = network(some_pixels())
    torch.nn.functional.cross_entropy(seen.logits, torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return seen


@pytest.mark.parametrize("stages", [1, 3, 5])
def test_only_the_last_stages_and_the_head_learn(stages: int) -> None:
    network = small_tuned(stages)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    step(network)
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed <= set(network.trainable_parameters())
    assert {name.split(".")[1] for name in changed if name.startswith("tuned.")} == {
        str(stage) for stage in range(stages)
    }
    assert "weight" in changed


def test_what_is_learned_is_in_the_network_that_was_given() -> None:
    resnet = small_resnet()
    last = resnet.stages()[-1]
    before = next(last.parameters()).clone()
    step(FineTunedNetwork(resnet, 1, torch.rand(3, 2048), scale=16.0, mixed=False))
    assert not torch.equal(next(last.parameters()), before)


def test_vectors_are_those_of_the_encoder() -> None:
    network = small_resnet()
    seen = FineTunedNetwork(network, 2, torch.rand(3, 2048), scale=16.0, mixed=False)(some_pixels())
    channels = network(some_pixels())
    expected = channels / channels.norm(dim=1, keepdim=True)
    torch.testing.assert_close(seen.vectors, expected)


def test_logits_are_cosines_to_the_categories_directions() -> None:
    network = small_tuned()
    seen = network(some_pixels())
    cosines = torch.nn.functional.cosine_similarity(
        seen.vectors[:, None], network.weight[None], dim=2
    )
    torch.testing.assert_close(seen.logits, 16 * cosines)


def test_the_head_alone_predicts_what_the_network_does() -> None:
    network = small_tuned()
    seen = network(some_pixels())
    weight = network.head_weight().detach().numpy()
    head = CategoryHead(("a", "b", "c"), weight, np.zeros(3, np.float32), 1.0, "f" * 64)
    expected = seen.logits.softmax(dim=1).detach().numpy()
    assert head.probabilities(seen.vectors.detach().numpy()) == pytest.approx(expected, abs=1e-6)


def test_bfloat16_is_nearly_the_same() -> None:
    exact = small_tuned()
    mixed = FineTunedNetwork(small_resnet(), 1, exact.weight.detach(), scale=16.0, mixed=True)
    cosines = (exact(some_pixels()).vectors * mixed(some_pixels()).vectors).sum(dim=1)
    assert cosines.min() > 0.995
    assert not torch.equal(exact(some_pixels()).vectors, mixed(some_pixels()).vectors)


@pytest.mark.parametrize("stages", [0, 6])
def test_there_are_one_to_five_stages(stages: int) -> None:
    with pytest.raises(ValueError, match="stages"):
        small_tuned(stages)
