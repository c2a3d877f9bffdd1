"""A network that has learned nothing, and what it is exported to; both take seconds to make."""

from pathlib import Path

import pytest

from models.encoders.onnx_export import export_float32
from tests.support.networks import NETWORK, SMALL, write_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "weights.safetensors")


@pytest.fixture(scope="session")
def float32(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those weights as an ONNX network of small pictures."""
    path = tmp_path_factory.mktemp("export") / "float32.onnx"
    export_float32(NETWORK, weights, SMALL, path)
    return path
