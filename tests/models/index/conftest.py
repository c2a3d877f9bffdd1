from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.types import EncoderSpec
from models.index.build import BuildOptions, BuiltGeneration, build_generation
from models.index.generation import Generation, open_generation
from models.vectors import as_stored
from tests.support.generations import DIMENSION


@pytest.fixture(scope="session")
def encoder() -> EncoderSpec:
    return EncoderSpec(name="test", dimension=DIMENSION, fingerprint="f" * 64)


@pytest.fixture(scope="session")
def draw() -> Callable[[int], NDArray[np.float32]]:
    """Draws n vectors of unit length, always the same, as they are once they were kept."""

    def draw_rows(count: int) -> NDArray[np.float32]:
        rows = np.random.default_rng(7).normal(size=(count, DIMENSION))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return as_stored(rows.astype(np.float32))

    return draw_rows


@pytest.fixture(scope="session")
def build(encoder: EncoderSpec) -> Callable[..., BuiltGeneration]:
    """Builds a folder from ids and vectors, which come in batches of seven."""

    def build_rows(
        target: Path, ids: Sequence[int], vectors: NDArray[np.float32], **options: Any
    ) -> BuiltGeneration:
        every = np.array(ids, dtype=np.int64)
        settings: dict[str, Any] = {
            "encoder": encoder,
            "last_change": 0,
            "created_at": datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
            "recall_target": 1.0,
        }
        batches = ((every[i : i + 7], vectors[i : i + 7]) for i in range(0, len(every), 7))
        how = {name: options.pop(name) for name in ("factory", "seed") if name in options}
        return build_generation(target, batches, options=BuildOptions(**how), **settings | options)

    return build_rows


@pytest.fixture(scope="session")
def generation_of(
    build: Callable[..., BuiltGeneration],
    encoder: EncoderSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Generation]:
    """Builds from ids and vectors in a new place, and opens."""

    def build_and_open(
        ids: Sequence[int], vectors: NDArray[np.float32], **options: Any
    ) -> Generation:
        target = tmp_path_factory.mktemp("index") / "generation"
        built = build(target, ids, vectors, **options)
        return open_generation(target, built.manifest_sha256, fingerprint=encoder.fingerprint)

    return build_and_open
