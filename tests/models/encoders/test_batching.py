"""How many photos are embedded at once is measured."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.encoders import batching
from models.encoders.batching import best_batch
from tests.support.encoder import ThumbnailEncoder


class TimedEncoder(ThumbnailEncoder):
    """Takes as long as it is told to, by a clock of its own."""

    def __init__(self, cost: Callable[[int], float]) -> None:
        super().__init__()
        self.now = 0.0
        self._cost = cost

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        self.now += self._cost(len(photos))
        return super().embed(photos)


@pytest.mark.parametrize(
    ("cost", "best"),
    [
        (lambda photos: photos, 1),
        (lambda photos: 0.05 + photos, 1),
        (lambda photos: 1 + photos, 8),
        (lambda photos: photos + (1 if photos < 4 else 0), 4),
        (lambda photos: photos * (2 if photos == 8 else 1) + (1 if photos == 1 else 0), 2),
        (lambda photos: photos**2, 1),
    ],
)
def test_the_smallest_batch_that_is_about_the_fastest_is_chosen(
    cost: Callable[[int], float], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TimedEncoder(cost)
    monkeypatch.setattr(batching, "perf_counter", lambda: encoder.now)
    assert best_batch(encoder) == best


def test_one_slow_round_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def disturbed(photos: int) -> float:
        nonlocal calls
        calls += 1
        return photos + (100 if calls == 2 else 0)

    encoder = TimedEncoder(disturbed)
    monkeypatch.setattr(batching, "perf_counter", lambda: encoder.now)
    assert best_batch(encoder) == 1
