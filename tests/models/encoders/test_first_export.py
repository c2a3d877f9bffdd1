"""A network is exported when it is first used: once, faithfully, or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.encoders import first_export
from models.encoders.encoder import Encoder
from models.encoders.first_export import EXPORT_RECIPE, OUTCOME_FILE, export_once, is_exported
from models.encoders.first_export_program import drawn_photos
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.package import Package, read_package, write_package
from models.encoders.runtimes import open_encoder
from models.encoders.specs import hog_spec
from models.photo_decoding import decode
from tests.support.networks import NETWORK, SMALL


@pytest.fixture
def package(tmp_path: Path, weights: Path) -> Package:
    """A network that was not exported."""
    return write_package(tmp_path / "models", NETWORK, weights=weights, transform=SMALL, facts={})


def opened(package: Package) -> Encoder:
    return open_encoder(EncoderLibrary(AUTO, None, package.folder.parent), package.spec, 1)


def test_it_is_exported_once_and_stays_the_same_encoder(package: Package) -> None:
    models_dir = package.folder.parent
    before = opened(package)
    assert before.runtime.startswith("torch")
    assert not is_exported(models_dir, package.spec)
    outcome = export_once(models_dir, package.spec, 1)
    assert outcome
    after = opened(read_package(package.folder))
    if "is run by torch" in outcome:  # slower here: that is a right outcome, too
        assert after.runtime == before.runtime
    else:
        assert after.runtime.startswith("ONNX")
        photos = [decode(drawn_photos(4).read(row)) for row in range(4)]
        np.testing.assert_allclose(after.embed(photos), before.embed(photos), atol=1e-4)
    assert after.spec == before.spec
    assert is_exported(models_dir, package.spec)
    assert export_once(models_dir, package.spec, 1) is None


def test_what_was_refused_is_not_tried_again_until_the_recipe_changes(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = {"refused": "it was slower.", "recipe": EXPORT_RECIPE}
    (package.folder / OUTCOME_FILE).write_text(json.dumps(refusal))
    assert is_exported(package.folder.parent, package.spec)
    monkeypatch.setattr(first_export, "EXPORT_RECIPE", EXPORT_RECIPE + 1)
    assert not is_exported(package.folder.parent, package.spec)


def test_a_process_that_dies_leaves_torch_and_another_try(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_export, "PROGRAM", "no.such.program")
    outcome = export_once(package.folder.parent, package.spec, 1)
    assert outcome
    assert "is run by torch: its export has failed (" in outcome
    assert opened(package).runtime.startswith("torch")
    assert not is_exported(package.folder.parent, package.spec)


def test_a_folder_that_can_not_be_written_to_is_no_trouble(package: Package) -> None:
    models_dir = package.folder.parent
    # Whoever runs this, root included, can't make a file of a folder.
    (models_dir / ".first-export.lock").mkdir()
    outcome = export_once(models_dir, package.spec, 1)
    assert outcome
    assert "can't be written to" in outcome


def test_there_is_nothing_to_export_of_what_is_no_network(tmp_path: Path) -> None:
    assert is_exported(tmp_path, hog_spec())
    assert export_once(tmp_path, hog_spec(), 1) is None
