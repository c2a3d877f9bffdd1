"""The settings name the first encoder; from then on the database does."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from db.catalogue.listing_photos import PhotoData, ensure_photos
from db.session import Database
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import active_encoder, all_encoders, register_encoder
from models.domain.errors import WeightsMissing
from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from tests.support.adaptation import write_some_adapted
from tests.support.clock import Clock
from tests.support.encoder import spec_of
from workers.encoders.active_encoder import (
    encoder_mismatch_warning,
    ensure_active_encoder,
    force_configured_encoder,
    keep_files,
    require_files,
)

HOG = spec_of("hog", None)

# Files that nobody loads need not be weights: what a file is of is told by `test_recognition`.
pytestmark = pytest.mark.usefixtures("any_file_is_resnet50")


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


def weights(folder: Path, content: bytes = b"weights") -> Path:
    """What nobody loads need not be weights."""
    path = folder / f"{content.decode()}.safetensors"
    path.write_bytes(content)
    return path


def ensure_active(database: Database, library: EncoderLibrary, models_dir: Path) -> EncoderSpec:
    return ensure_active_encoder(database, library, models_dir, Clock()()).spec


def embed_something(database: Database, spec: EncoderSpec) -> None:
    with database.write() as session:
        (photo_id,) = ensure_photos(session, [PhotoData("0" * 64, 3, 4)], Clock()()).values()
        encoder_id = register_encoder(session, spec, Clock()())
        add_embeddings(session, encoder_id, {photo_id: np.ones(spec.dimension, np.float32)})


def test_what_the_settings_ask_for_is_active_until_a_photo_is_embedded(
    database: Database, tmp_path: Path, models_dir: Path
) -> None:
    resnet50 = EncoderLibrary("resnet50", weights(tmp_path), models_dir)
    hog = EncoderLibrary("hog", None, models_dir)
    assert ensure_active(database, hog, models_dir) == HOG
    spec = ensure_active(database, resnet50, models_dir)
    assert spec == resnet50.configured()
    embed_something(database, spec)
    assert ensure_active(database, hog, models_dir) == spec


def test_the_active_encoder_outlives_the_settings_that_named_it(
    database: Database, tmp_path: Path, models_dir: Path
) -> None:
    given = weights(tmp_path)
    spec = ensure_active(database, EncoderLibrary("resnet50", given, models_dir), models_dir)
    embed_something(database, spec)
    given.unlink()
    for library in (
        EncoderLibrary("resnet50", given, models_dir),
        EncoderLibrary("resnet50", weights(tmp_path, b"others"), models_dir),
        EncoderLibrary("hog", None, models_dir),
    ):
        assert ensure_active(database, library, models_dir) == spec
        require_files(library, spec, models_dir)


def test_an_encoder_that_was_active_before_encoders_were_kept_is_kept(
    database: Database, tmp_path: Path, models_dir: Path
) -> None:
    given = weights(tmp_path)
    named = EncoderLibrary("resnet50", given, models_dir)
    spec = ensure_active(database, named, models_dir)
    embed_something(database, spec)
    shutil.rmtree(models_dir)
    assert ensure_active(database, named, models_dir) == spec
    given.write_bytes(b"something else by now")
    assert EncoderLibrary("hog", None, models_dir).weights_of(spec)[0].read_bytes() == b"weights"


def test_without_weights_none_is_adopted(
    database: Database, tmp_path: Path, models_dir: Path
) -> None:
    library = EncoderLibrary("resnet50", tmp_path / "nowhere", models_dir)
    with pytest.raises(WeightsMissing):
        ensure_active(database, library, models_dir)
    with database.read() as session:
        assert all_encoders(session) == []


def test_files_that_are_elsewhere_are_asked_for(models_dir: Path) -> None:
    elsewhere = EncoderSpec("resnet50", 2048, "a" * 64)
    with pytest.raises(WeightsMissing, match="resnet50-aaaaaaaa"):
        require_files(EncoderLibrary("hog", None, models_dir), elsewhere, models_dir)


def test_an_encoder_can_be_imposed_whatever_it_lacks(
    database: Database, tmp_path: Path, models_dir: Path
) -> None:
    hog = EncoderLibrary("hog", None, models_dir)
    ensure_active(database, hog, models_dir)
    embed_something(database, HOG)
    library = EncoderLibrary("resnet50", weights(tmp_path), models_dir)
    forced = force_configured_encoder(database, library, models_dir, Clock()())
    with database.read() as session:
        active = active_encoder(session)
        assert active
        assert active.id == forced.id
        assert active.spec == library.configured()


def test_a_wish_is_told_with_the_way_to_it(tmp_path: Path, models_dir: Path) -> None:
    given = weights(tmp_path)
    library = EncoderLibrary("resnet50", given, models_dir)
    spec = library.configured()
    assert encoder_mismatch_warning(spec, library, "resnet50", given) is None
    assert (
        encoder_mismatch_warning(HOG, EncoderLibrary("hog", None, models_dir), "hog", None) is None
    )
    # Nobody named weights: the default is no reason to leave what is better.
    assert (
        encoder_mismatch_warning(
            spec, EncoderLibrary("resnet50", None, models_dir), "resnet50", None
        )
        is None
    )

    other = weights(tmp_path, b"other")
    wanted = EncoderLibrary("resnet50", other, models_dir)
    sentence = encoder_mismatch_warning(spec, wanted, "resnet50", other)
    assert sentence
    assert f"`marketlens encoder migrate {wanted.configured().label}`" in sentence
    sentence = encoder_mismatch_warning(spec, EncoderLibrary("hog", None, models_dir), "hog", None)
    assert sentence
    assert "`marketlens encoder migrate hog`" in sentence


def test_what_was_adapted_from_the_encoder_asked_for_is_no_other(
    tmp_path: Path, models_dir: Path
) -> None:
    given = weights(tmp_path)
    library = EncoderLibrary("auto", given, models_dir)
    adapted = write_some_adapted(models_dir, library.configured()).spec
    assert encoder_mismatch_warning(adapted, library, "auto", given) is None
    other = write_some_adapted(models_dir, HOG).spec
    assert encoder_mismatch_warning(other, library, "auto", given)


def test_a_folder_that_can_not_be_written_to_keeps_no_encoder_from_working(
    database: Database, tmp_path: Path, models_dir: Path
) -> None:
    models_dir.write_text("in the way")
    library = EncoderLibrary("resnet50", weights(tmp_path), models_dir)
    assert ensure_active(database, library, models_dir) == library.configured()
    with pytest.raises(OSError, match="models"):
        keep_files(library, library.configured(), models_dir)


def test_files_are_kept_once(tmp_path: Path, models_dir: Path) -> None:
    given = weights(tmp_path)
    library = EncoderLibrary("resnet50", given, models_dir)
    spec = library.configured()
    for _ in range(2):
        keep_files(library, spec, models_dir)
    assert [path.name for path in models_dir.iterdir()] == [spec.label]
    keep_files(library, HOG, models_dir)
    given.write_bytes(b"something else")
    assert spec in EncoderLibrary("hog", None, models_dir).specs()
