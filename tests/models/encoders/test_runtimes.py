import subprocess
import sys
from pathlib import Path

import pytest

from models.domain.types import Precision
from models.encoders.networks.architectures import RESNET50
from models.encoders.package import write_package
from tests.support.encoder import spec_of

OPENS = """
import sys
from pathlib import Path
from models.encoders.library import EncoderLibrary
from models.encoders.runtimes import open_encoder
library = EncoderLibrary("hog", None, Path(sys.argv[1]))
runtimes = {"torch", "onnxruntime", "skimage"}
assert not runtimes & set(sys.modules)
spec = library.find(sys.argv[2])
assert not runtimes & set(sys.modules)
open_encoder(library, spec, 1)
print(*sorted(runtimes & set(sys.modules)))
"""


def imported(models_dir: Path, reference: str) -> str:
    """What a process imports that opens this encoder."""
    done = subprocess.run(
        [sys.executable, "-c", OPENS, str(models_dir), reference],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    return path


def test_no_other_runtime_is_imported_than_the_one_that_is_needed(
    tmp_path: Path, weights: Path
) -> None:
    network = tmp_path / "network"
    network.write_bytes(b"network")
    models_dir = tmp_path / "models"
    exported = write_package(
        models_dir,
        RESNET50,
        weights=weights,
        transform=RESNET50.transform,
        network=network,
        precision=Precision.INT8,
        facts={},
    )
    write_package(models_dir, RESNET50, weights=weights, facts={})
    assert imported(models_dir, "hog") == "skimage"
    assert imported(models_dir, exported.spec.label) == "onnxruntime"
    assert imported(models_dir, spec_of("resnet50", weights).label) == "torch"
