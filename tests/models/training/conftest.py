"""Small photos whose colour says their category, and a small network to see them."""

from collections.abc import Iterator

import pytest
import torch

from models.labels import LabelledPhotos
from tests.support.training import catalogue


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests share their cores, and more threads than one would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photos() -> LabelledPhotos:
    return catalogue()
