import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.errors import GenerationCorrupt
from models.domain.types import EncoderSpec
from models.index.build import BuiltGeneration, build_generation, remove_generation
from models.index.generation import open_generation
from models.index.manifest import from_json, to_json

BUILT_AT = datetime(2025, 1, 2, tzinfo=UTC)
FILES = ["index.faiss", "ids.npy", "manifest.json"]
IDS = [10, 20, 30, 40, 50]

Draw = Callable[[int], NDArray[np.float32]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "generation"


@pytest.fixture
def built(folder: Path, build: Callable[..., BuiltGeneration], draw: Draw) -> BuiltGeneration:
    return build(folder, IDS, draw(5), last_change=12)


def rewrite_manifest(folder: Path, **changes: object) -> str:
    """Change the manifest, and give the hash of what it is now."""
    path = folder / "manifest.json"
    raw = to_json(replace(from_json(path.read_bytes()), **changes))  # type: ignore[arg-type]
    path.write_bytes(raw)
    return sha256(raw).hexdigest()


def test_each_row_is_found_under_its_own_id(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec, draw: Draw
) -> None:
    generation = open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)

    assert generation.manifest == built.manifest
    for photo_id, vector in zip(IDS, draw(5), strict=True):
        best = generation.searcher.best(vector, 1)
        assert best.ids[np.argmax(best.cosines)] == photo_id
        assert max(best.cosines) == pytest.approx(1.0, abs=1e-6)


def test_locates_the_ids_it_has_and_no_others(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec
) -> None:
    generation = open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)

    rows, known = generation.locate(np.array([50, 5, 10, 25, 99], np.int64))

    assert known.tolist() == [True, False, True, False, False]
    assert generation.rows.ids[rows[known]].tolist() == [50, 10]


def test_finds_live_rows_only_and_pads_with_none(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec, draw: Draw
) -> None:
    generation = open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)

    live = np.packbits([True, False, False, True, False], bitorder="little")
    best = generation.searcher.best(draw(5)[0], 100, live, 2)

    assert sorted(best.ids.tolist()) == [10, 40]
    assert (len(best.cosines), best.floor) == (2, -np.inf)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.5, 0.99])
def test_a_flipped_byte_is_refused(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec, name: str, where: float
) -> None:
    raw = bytearray((folder / name).read_bytes())
    raw[int(len(raw) * where)] ^= 1
    (folder / name).write_bytes(raw)

    with pytest.raises(GenerationCorrupt, match=name):
        open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec, name: str
) -> None:
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[:-1])

    with pytest.raises(GenerationCorrupt, match=name):
        open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec, name: str
) -> None:
    (folder / name).unlink()

    with pytest.raises(GenerationCorrupt, match=f"{name} is missing"):
        open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)


def test_a_missing_folder_is_refused(folder: Path, encoder: EncoderSpec) -> None:
    with pytest.raises(GenerationCorrupt, match="missing"):
        open_generation(folder, "0" * 64, fingerprint=encoder.fingerprint)


def test_a_manifest_other_than_the_recorded_one_is_refused(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec
) -> None:
    rewrite_manifest(folder, last_change=13)

    with pytest.raises(GenerationCorrupt, match="recorded"):
        open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)


def test_without_a_recorded_hash_the_files_still_have_to_agree(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec
) -> None:
    opened = open_generation(folder, None, fingerprint=encoder.fingerprint)
    assert opened.manifest == built.manifest

    (folder / "ids.npy").write_bytes(b"something else")
    with pytest.raises(GenerationCorrupt, match=r"ids\.npy"):
        open_generation(folder, None, fingerprint=encoder.fingerprint)


@pytest.mark.usefixtures("built")
def test_another_encoders_vectors_are_refused(folder: Path) -> None:
    with pytest.raises(GenerationCorrupt, match="encoder ffffffff, not 00000000"):
        open_generation(folder, None, fingerprint="0" * 64)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("change", [{"rows": 4}, {"dimension": 32}])
def test_files_that_do_not_fit_their_manifest_are_refused(
    folder: Path, encoder: EncoderSpec, change: dict[str, int]
) -> None:
    recorded = rewrite_manifest(folder, **change)

    with pytest.raises(GenerationCorrupt, match="5 vectors of 16 numbers"):
        open_generation(folder, recorded, fingerprint=encoder.fingerprint)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", ["index.faiss", "ids.npy"])
def test_a_file_with_the_right_hash_but_no_sense_is_refused(
    folder: Path, encoder: EncoderSpec, name: str
) -> None:
    (folder / name).write_bytes(b"nothing that anybody can read")
    files = {file: sha256((folder / file).read_bytes()).hexdigest() for file in FILES[:2]}
    recorded = rewrite_manifest(folder, files=files)

    with pytest.raises(GenerationCorrupt, match=name.replace(".", r"\.")):
        open_generation(folder, recorded, fingerprint=encoder.fingerprint)


def test_an_open_generation_is_not_removed(
    folder: Path, built: BuiltGeneration, encoder: EncoderSpec, draw: Draw
) -> None:
    generation = open_generation(folder, built.manifest_sha256, fingerprint=encoder.fingerprint)

    assert not remove_generation(folder)
    assert generation.searcher.best(draw(5)[1], 5).ids.size == 5

    del generation
    assert remove_generation(folder)
    assert not list(folder.parent.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")
def test_vectors_are_searched_in_the_page_cache_not_in_a_copy(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(1024, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    encoder = EncoderSpec(name="test", dimension=512, fingerprint="f" * 64)
    built = build_generation(
        tmp_path / "generation",
        [(np.arange(1024, dtype=np.int64), vectors)],
        encoder=encoder,
        last_change=0,
        created_at=BUILT_AT,
        recall_target=1.0,
    )
    generation = open_generation(
        tmp_path / "generation", built.manifest_sha256, fingerprint=encoder.fingerprint
    )

    generation.searcher.best(vectors[5], 10)

    assert mapped_kib(tmp_path / "generation" / "index.faiss") * 1024 >= vectors.nbytes // 2


def mapped_kib(path: Path) -> int:
    """Resident, unmodified memory of this process that is the file's own pages."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        key, *rest = line.split()
        if "-" in key:
            inside = line.endswith(str(path))
        elif inside and key == "Rss:":
            total += int(rest[0])
        elif inside and key == "Anonymous:":
            total -= int(rest[0])
    return total
