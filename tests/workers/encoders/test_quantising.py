"""An int8 network is exported by another process, from photos of the catalogue, or refused."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import register_encoder, retire_encoder
from models.domain.types import EncoderSpec, Precision
from models.encoders.encoder import unit_rows
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.package import write_package
from models.encoders.specs import hog_spec
from tests.support.networks import NETWORK, SMALL, write_weights
from tests.support.pictures import jpeg
from tests.support.workers import WorkerHarness
from workers.encoders import quantising
from workers.encoders.quantising import NotQuantised, quantise, wants_int8


@pytest.fixture
def float32(worker: WorkerHarness, tmp_path: Path) -> EncoderSpec:
    """A network that sees small photos, and has embedded nothing."""
    models_dir = worker.runtime.config.models_dir
    weights = write_weights(tmp_path / "weights.safetensors")
    return write_package(models_dir, NETWORK, weights=weights, transform=SMALL, facts={}).spec


def quantised(worker: WorkerHarness, spec: EncoderSpec) -> EncoderSpec:
    library = EncoderLibrary(AUTO, None, worker.runtime.config.models_dir)
    return quantise(worker.database, worker.runtime.store, library, spec, threads=1)


def embed_pictures(worker: WorkerHarness, spec: EncoderSpec, seeds: range) -> int:
    """Listings with a drawn picture each, and vectors by this encoder; gives its id."""
    rng = np.random.default_rng(seeds.start)
    with worker.database.write() as session:
        encoder_id = register_encoder(session, spec, worker.now())
    for seed in seeds:
        _, photo_ids = worker.list_photos(jpeg(seed, (90, 90)))
        vectors = unit_rows(rng.standard_normal((1, spec.dimension), np.float32))
        with worker.database.write() as session:
            add_embeddings(session, encoder_id, dict(zip(photo_ids, vectors, strict=True)))
    return encoder_id


# The database makes no difference here, and an export takes seconds.
@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_it_is_exported_once_from_photos_of_the_catalogue(
    worker: WorkerHarness, float32: EncoderSpec
) -> None:
    models_dir = worker.runtime.config.models_dir
    library = EncoderLibrary(AUTO, None, models_dir)
    assert wants_int8(worker.database, library, float32)
    embed_pictures(worker, float32, range(40))
    try:
        int8 = quantised(worker, float32)
    except NotQuantised as error:
        # Slower here: that is a right outcome, too, and nothing is left of it.
        assert re.search(r"embeds \d+\.\d photos/s, its source", str(error))  # noqa: PT017
        assert library.int8_of(float32) is None
        assert not list(models_dir.glob(".export*"))
        return
    assert int8.precision is Precision.INT8
    assert library.int8_of(float32) == int8
    assert wants_int8(worker.database, library, float32)
    made = (models_dir / int8.label / "manifest.json").stat().st_mtime_ns
    assert quantised(worker, float32) == int8
    assert (models_dir / int8.label / "manifest.json").stat().st_mtime_ns == made
    # Who has returned from it, or given it up, is not asked again.
    with worker.database.write() as session:
        encoder_id = register_encoder(session, int8, worker.now())
        retire_encoder(session, encoder_id)
    assert not wants_int8(worker.database, library, float32)


def test_a_process_that_dies_says_why(
    worker: WorkerHarness, float32: EncoderSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_pictures(worker, float32, range(1))
    monkeypatch.setattr(quantising, "PROGRAM", "workers.encoders.no_such_program")
    with pytest.raises(NotQuantised, match=r"has failed \(.*no_such_program"):
        quantised(worker, float32)


def test_only_a_float32_network_that_is_here_is_exported(
    worker: WorkerHarness, float32: EncoderSpec
) -> None:
    library = EncoderLibrary(AUTO, None, worker.runtime.config.models_dir)
    elsewhere = replace(float32, fingerprint="0" * 64)
    int8 = replace(float32, precision=Precision.INT8)
    for spec in (hog_spec(), worker.encoder.spec, elsewhere, int8):
        assert not wants_int8(worker.database, library, spec)
