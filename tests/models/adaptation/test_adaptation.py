"""An adapted encoder is its base and a map, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.adaptation.adaptation import Adaptation, read_adaptation
from models.adaptation.adapted_encoder import embed_by_all
from models.adaptation.adapted_package import (
    adapted_spec,
    read_adapted_package,
    read_adapted_package_if_any,
)
from models.adaptation.learn import learn
from models.domain.errors import WeightsMissing, WeightsRefused
from models.encoders.encoder import unit_rows
from models.encoders.library import EncoderLibrary
from models.encoders.runtimes import open_encoder
from models.encoders.specs import hog_spec
from models.vectors import as_stored
from tests.support.adaptation import made_up, open_adapted, some_adaptation, write_some_adapted
from tests.support.encoder import ThumbnailEncoder
from tests.support.pictures import picture

BASE = ThumbnailEncoder().spec


def some_vectors(count: int = 5) -> np.ndarray:
    values = np.random.default_rng(1).standard_normal((count, BASE.dimension))
    return unit_rows(values.astype(np.float32))


def test_each_block_counts_by_its_weight() -> None:
    adaptation = some_adaptation(BASE)
    one, other = adaptation.apply(some_vectors(2))
    mapped = (some_vectors(2) - adaptation.offset) @ adaptation.matrix
    first, second = (unit_rows(mapped[:, part]) for part in (slice(0, 6), slice(6, 8)))
    # The weights are 1 and 2: shares of similarities are their squares, a fifth and four fifths.
    expected = (first[0] @ first[1] + 4 * (second[0] @ second[1])) / 5
    assert one @ other == pytest.approx(expected, abs=1e-6)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-6)


def test_a_photo_without_features_stays_without() -> None:
    vectors = some_vectors(3)
    vectors[1] = 0
    adapted = some_adaptation(BASE).apply(vectors)
    assert not adapted[1].any()
    assert adapted[[0, 2]].any(axis=1).all()


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    package = write_some_adapted(tmp_path, BASE)
    found = read_adaptation(package.map, BASE)
    np.testing.assert_array_equal(
        found.apply(some_vectors()), some_adaptation(BASE).apply(some_vectors())
    )
    assert read_adapted_package(package.folder) == package
    assert package.spec == adapted_spec(BASE, package.map_sha256, 8)
    assert package.spec.label.startswith("thumbnail-adapted-")
    assert package.facts == {"seed": 0}
    assert [path.name for path in tmp_path.iterdir()] == [package.spec.label]


def test_another_base_or_another_map_is_another_encoder(tmp_path: Path) -> None:
    specs = {
        write_some_adapted(tmp_path, base, seed).spec
        for base in (BASE, replace(BASE, fingerprint="1" * 64))
        for seed in (0, 1)
    }
    assert len({spec.fingerprint for spec in specs}) == 4
    # Written again it is the same.
    assert write_some_adapted(tmp_path, BASE).spec in specs


def changed(adaptation: Adaptation, **values: object) -> bytes:
    return replace(adaptation, **values).to_bytes()  # type: ignore[arg-type] # any field


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a map",
        changed(some_adaptation(BASE), matrix=np.ones((3, 8), np.float32)),
        changed(some_adaptation(BASE), offset=np.ones(3, np.float32)),
        changed(some_adaptation(BASE), sizes=(6, 3)),
        changed(some_adaptation(BASE), sizes=(8,)),
        changed(some_adaptation(BASE), sizes=(8, 0)),
        changed(some_adaptation(BASE), weights=(1.0, np.nan)),
    ],
)
def test_a_file_that_is_no_map_of_the_base_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "adaptation.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsRefused, match="adaptation"):
        read_adaptation(path, BASE)


def test_a_map_that_has_changed_is_refused(tmp_path: Path) -> None:
    package = write_some_adapted(tmp_path, BASE)
    package.map.write_bytes(some_adaptation(BASE, seed=5).to_bytes())
    with pytest.raises(WeightsRefused, match="hash differs"):
        open_adapted(package, ThumbnailEncoder()).load()


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    package = write_some_adapted(tmp_path, BASE)
    (package.folder / "adaptation.json").write_text("{}")
    with pytest.raises(WeightsRefused):
        read_adapted_package(package.folder)
    assert read_adapted_package_if_any(package.folder) is None
    with pytest.raises(WeightsMissing):
        read_adapted_package(tmp_path)


def test_it_makes_no_difference_whether_the_bases_vector_was_stored(tmp_path: Path) -> None:
    base = ThumbnailEncoder()
    encoder = open_adapted(write_some_adapted(tmp_path, base.spec), base)
    photos = [picture(seed) for seed in range(4)]
    fresh = encoder.embed(photos)
    np.testing.assert_allclose(fresh, encoder.adapt(as_stored(base.embed(photos))), atol=1e-6)


def test_encoders_of_one_base_embed_a_photo_once(tmp_path: Path) -> None:
    base, other = ThumbnailEncoder(), ThumbnailEncoder("other")
    adapted = open_adapted(write_some_adapted(tmp_path, base.spec), base)
    photos = {number: picture(number) for number in (3, 5, 8)}
    wanted = {"adapted": {3, 5}, "base": {5, 8}, "other": {8}, "idle": set()}
    idle = ThumbnailEncoder("idle")
    found = embed_by_all(
        {"adapted": adapted, "base": base, "other": other, "idle": idle}, photos, wanted
    )
    assert {key: set(vectors) for key, vectors in found.items()} == wanted
    assert (base.embedded, other.embedded, idle.embedded) == (3, 1, 0)
    (expected,) = adapted.embed([photos[5]])
    np.testing.assert_allclose(found["adapted"][5], expected, atol=1e-6)


def test_the_library_lists_and_opens_what_it_has_the_base_of(tmp_path: Path) -> None:
    package = write_some_adapted(tmp_path, hog_spec())
    orphan = write_some_adapted(tmp_path, replace(hog_spec(), fingerprint="2" * 64))
    library = EncoderLibrary("hog", None, tmp_path)
    assert package.spec in library.specs()
    assert orphan.spec not in library.specs()
    assert library.find("hog-adapted") == package.spec
    assert library.base_of(package.spec) == hog_spec() == library.base_of(hog_spec())
    assert library.facts(package.spec) == {"seed": 0}
    encoder = open_encoder(library, package.spec, 1)
    assert encoder.spec == package.spec
    assert encoder.embed([picture(1)]).shape == (1, 8)


def test_what_the_base_saw_is_about_restored() -> None:
    photos, vectors = made_up()
    kinds = np.unique(np.array(photos.categories), return_inverse=True)[1]
    vectors = vectors + vectors.mean(axis=0) * 8
    vectors = unit_rows(vectors)
    adaptation = learn(vectors, kinds)
    back = adaptation.restoration().apply(adaptation.apply(vectors))
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, atol=1e-5)
    likeness = (back * vectors).sum(axis=1)
    assert np.quantile(likeness, 0.01) > 0.95
    # What is unlike all of the catalogue comes to lie no nearer to it than it did.
    other = unit_rows(np.random.default_rng(9).normal(size=(50, 96)).astype(np.float32))
    restored = adaptation.restoration().apply(adaptation.apply(other))
    assert (restored @ vectors.T).max() < (vectors @ vectors.T).min() + 0.6
    nothing = np.zeros((1, 96), np.float32)
    assert not adaptation.restoration().apply(adaptation.apply(nothing)).any()
