from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.encoders.encoder import unit_rows
from models.training.probe import STRENGTHS, LinearProbe, best_probe, class_weights, train_probes


def clusters(seed: int, counts: list[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors as networks give them: all alike, but for a little that says their category."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(counts)), counts)
    vectors = 3 + rng.normal(0, 0.3, (len(targets), 16))
    vectors[np.arange(len(targets)), targets] += 1
    return unit_rows(vectors.astype(np.float32)), targets


def trained(counts: list[int]) -> list[LinearProbe]:
    return train_probes(*clusters(0, counts), *clusters(1, counts), lambda _done, _total: None)


def test_it_learns_what_can_be_told_apart() -> None:
    best = best_probe(trained([60, 60, 60]))
    vectors, targets = clusters(2, [50, 50, 50])
    predicted = (vectors @ best.weight.T + best.bias).argmax(axis=1)
    assert (predicted == targets).mean() > 0.9


def test_a_weaker_penalty_allows_greater_weights() -> None:
    lengths = [float(np.linalg.norm(probe.weight)) for probe in trained([30, 30])]
    assert lengths == sorted(lengths)
    assert len(lengths) == len(STRENGTHS)


def test_it_is_the_minimum_that_any_solver_finds() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    vectors, targets = clusters(0, [40, 20, 10])
    weights = class_weights(targets, 3)
    for probe in trained([40, 20, 10])[:3]:
        reference = linear_model.LogisticRegression(
            C=probe.strength, class_weight=dict(enumerate(weights)), tol=1e-8, max_iter=10_000
        ).fit(vectors, targets)
        assert probe.weight == pytest.approx(reference.coef_, abs=5e-2)


def test_the_same_input_gives_the_same_probe() -> None:
    one, other = trained([20, 20])[-1], trained([20, 20])[-1]
    assert (one.weight == other.weight).all()
    assert (one.bias == other.bias).all()


def test_the_most_accurate_is_chosen_and_of_equals_the_most_restrained() -> None:
    probe = trained([20, 20])[0]
    probes = [
        replace(probe, strength=strength, accuracy=accuracy)
        for strength, accuracy in ((1.0, 0.5), (3.0, 0.9), (10.0, 0.9), (30.0, 0.7))
    ]
    assert best_probe(probes).strength == 3.0


def test_a_photo_of_a_rare_category_counts_more_and_photos_count_one_on_average() -> None:
    targets = np.repeat([0, 1, 2], [100, 25, 4])
    weights = class_weights(targets, 3)
    assert weights[1] / weights[0] == pytest.approx(2)
    assert weights[2] / weights[0] == pytest.approx(5)
    assert weights[targets].mean() == pytest.approx(1)
