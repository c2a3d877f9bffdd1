"""Generations in the photo store: whole or not there, and nothing is served that was not built."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import pytest

from db.store import stored_files
from db.store.photo_store import PhotoStore
from models.domain.errors import GenerationCorrupt, Unavailable
from models.domain.job_payloads import ReindexPayload
from models.domain.types import EncoderSpec, GenerationStatus, JobType
from models.index.build import BuildOptions, BuiltGeneration, build_generation
from models.index.generation import open_generation
from tests.support.s3 import photo_bucket, s3_server
from tests.support.workers import LEASE, WorkerHarness
from workers.generations.publish import (
    PUBLISHED,
    clear_unfinished_fetch,
    fetch_generation,
    publish_generation,
    published_generations,
    published_manifest,
    unpublish_generation,
)
from workers.indexes.live import LiveIndex
from workers.jobs.heartbeat import Heartbeat
from workers.jobs.reindex import run_reindex

SPEC = EncoderSpec("test", 16, "f" * 64)
FILES = ("ids.npy", "index.faiss", "vectors.f16", "manifest.json")


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def s3_url(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with photo_bucket(s3_port, monkeypatch) as url:
        yield url


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """Of a store that several machines could see."""
    if request.param == "memory":
        return f"memory://{uuid4()}/photos"
    found: str = request.getfixturevalue("s3_url")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built") / "7"


@pytest.fixture(scope="module")
def built(folder: Path) -> BuiltGeneration:
    """Generation 7, of several files."""
    vectors = np.random.default_rng(0).normal(size=(400, SPEC.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return build_generation(
        folder,
        [(np.arange(400, dtype=np.int64), vectors)],
        encoder=SPEC,
        last_change=0,
        created_at=datetime(2025, 1, 2, tzinfo=UTC),
        recall_target=0.01,
        options=BuildOptions("IVF2,SQ8"),
    )


def damage(url: str, name: str, generation_id: int = 7) -> None:
    filesystem, root = fsspec.url_to_fs(url)
    path = f"{root}/{PUBLISHED}/{generation_id}/{name}"
    data = bytearray(filesystem.cat_file(path))
    data[len(data) // 2] ^= 1
    filesystem.pipe_file(path, bytes(data))


def test_what_one_machine_publishes_another_fetches(
    url: str, folder: Path, built: BuiltGeneration, tmp_path: Path
) -> None:
    publish_generation(PhotoStore(url), folder, 7)
    elsewhere, store = tmp_path / "some" / "generations", PhotoStore(url)
    assert published_generations(store) == {7}
    assert published_manifest(store, 7, built.manifest_sha256) == built.manifest

    fetch_generation(store, elsewhere, 7, built.manifest_sha256)

    for name in FILES:
        assert (elsewhere / "7" / name).read_bytes() == (folder / name).read_bytes()
    opened = open_generation(elsewhere / "7", built.manifest_sha256, fingerprint=SPEC.fingerprint)
    assert opened.manifest.rows == 400
    assert not (elsewhere / ".fetching").exists()
    # Once it is there, nobody asks the store.
    fetch_generation(PhotoStore("memory://empty"), elsewhere, 7, built.manifest_sha256)

    unpublish_generation(store, 7)
    unpublish_generation(store, 7)
    assert published_generations(store) == set()


def test_photos_are_not_in_the_way(url: str, folder: Path, built: BuiltGeneration) -> None:
    store = PhotoStore(url)
    digest = store.put(b"photo")
    publish_generation(store, folder, 7)
    shelved = store.list_prefix(digest[:2], datetime.now(UTC))
    assert (shelved.digests, shelved.leftovers) == ({digest}, [])
    unpublish_generation(store, 7)
    assert store.get(digest) == b"photo"
    assert built.manifest.rows


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused_and_nothing_is_left(
    url: str, folder: Path, built: BuiltGeneration, tmp_path: Path, name: str
) -> None:
    store = PhotoStore(url)
    publish_generation(store, folder, 7)
    damage(url, name)
    with pytest.raises(GenerationCorrupt):
        fetch_generation(store, tmp_path, 7, built.manifest_sha256)
    assert {path.name for path in tmp_path.iterdir()} <= {".fetching.lock"}
    # Published once more, it is whole.
    publish_generation(store, folder, 7)
    fetch_generation(store, tmp_path, 7, built.manifest_sha256)


def test_what_is_not_all_there_is_refused(
    url: str, folder: Path, built: BuiltGeneration, tmp_path: Path
) -> None:
    store = PhotoStore(url)
    with pytest.raises(GenerationCorrupt, match="not published"):
        fetch_generation(store, tmp_path, 7, built.manifest_sha256)
    publish_generation(store, folder, 7)
    with pytest.raises(GenerationCorrupt, match="not the one"):
        fetch_generation(store, tmp_path, 7, None)
    store.files.delete(f"{PUBLISHED}/7/index.faiss")
    with pytest.raises(GenerationCorrupt, match=r"index\.faiss"):
        fetch_generation(store, tmp_path, 7, built.manifest_sha256)


class Stopped(Exception):
    """What a heartbeat raises when the job is somebody else's."""


def test_stopped_at_any_moment_it_is_not_published(
    folder: Path, built: BuiltGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_files, "PART_BYTES", 1_000)
    store = PhotoStore(f"memory://{uuid4()}/photos")
    beats = 0

    def count() -> None:
        nonlocal beats
        beats += 1

    publish_generation(store, folder, 7, count)
    # Each part of each file is a sign of life, and the last one comes when all is there.
    assert beats > built.manifest.bytes // 1_000
    for last in range(1, beats):
        unpublish_generation(store, 7)
        left = iter(range(last - 1))

        def stop(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Stopped

        with pytest.raises(Stopped):
            publish_generation(store, folder, 7, stop)
        with pytest.raises(GenerationCorrupt):
            published_manifest(store, 7, built.manifest_sha256)
        assert published_generations(store) == {7}
    unpublish_generation(store, 7)
    assert published_generations(store) == set()


def test_a_folder_of_one_machine_has_nothing_published(
    store: PhotoStore, folder: Path, built: BuiltGeneration, tmp_path: Path
) -> None:
    publish_generation(store, folder, 7)
    assert not (tmp_path / "photos").exists()
    fetch_generation(store, tmp_path / "generations", 7, built.manifest_sha256)
    assert not (tmp_path / "generations").exists()
    unpublish_generation(store, 7)
    assert published_generations(store) == set()


def test_a_store_that_can_not_be_reached_says_so(
    folder: Path, built: BuiltGeneration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PhotoStore("memory://there/photos")

    def broken(*_: object, **__: object) -> None:
        raise ConnectionError

    for name in ("open", "ls", "cat_file", "rm"):
        monkeypatch.setattr(f"fsspec.implementations.memory.MemoryFileSystem.{name}", broken)
    for ask in (
        lambda: publish_generation(store, folder, 7),
        lambda: unpublish_generation(store, 7),
        lambda: published_generations(store),
        lambda: fetch_generation(store, tmp_path, 7, built.manifest_sha256),
    ):
        with pytest.raises(Unavailable):
            ask()


FETCHER = """
import os, signal, sys
from pathlib import Path
from db.store.photo_store import PhotoStore
from db.store.stored_files import StoredFiles
from workers.generations.publish import fetch_generation
url, folder, sha256, die_at = sys.argv[1:]
downloads = 0
download = StoredFiles.download
def counted(*arguments):
    global downloads
    downloads += 1
    if downloads == int(die_at):
        os.kill(os.getpid(), signal.SIGKILL)
    download(*arguments)
StoredFiles.download = counted
fetch_generation(PhotoStore(url), Path(folder), 7, sha256)
print(downloads)
"""


def fetcher(url: str, folder: Path, sha256: str, die_at: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCHER, url, str(folder), sha256, str(die_at)],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_one_fetches(
    s3_url: str, folder: Path, built: BuiltGeneration, tmp_path: Path
) -> None:
    publish_generation(PhotoStore(s3_url), folder, 7)
    both = [fetcher(s3_url, tmp_path, built.manifest_sha256) for _ in range(2)]
    counts = sorted(int(process.communicate(timeout=60)[0]) for process in both)
    assert counts == [0, len(built.manifest.files)]
    open_generation(tmp_path / "7", built.manifest_sha256, fingerprint=SPEC.fingerprint)


def test_a_killed_fetch_is_begun_again(
    s3_url: str, folder: Path, built: BuiltGeneration, tmp_path: Path
) -> None:
    store = PhotoStore(s3_url)
    publish_generation(store, folder, 7)
    killed = fetcher(s3_url, tmp_path, built.manifest_sha256, die_at=2)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "7").exists()
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / ".fetching", kept)
    assert len(list(kept.iterdir())) == 2
    fetch_generation(store, tmp_path, 7, built.manifest_sha256)
    open_generation(tmp_path / "7", built.manifest_sha256, fingerprint=SPEC.fingerprint)
    assert not (tmp_path / ".fetching").exists()
    # Without another fetch, it is removed with the unused files.
    kept.rename(tmp_path / ".fetching")
    clear_unfinished_fetch(tmp_path)
    assert not (tmp_path / ".fetching").exists()


def reindex(worker: WorkerHarness, store: PhotoStore) -> int:
    claim = worker.claim(worker.accept(JobType.REINDEX, {}))
    run_reindex(
        claim,
        ReindexPayload(),
        database=worker.database,
        store=store,
        settings=worker.runtime.config.index,
        heartbeat=Heartbeat(worker.database, claim, LEASE, worker.now),
        clock=worker.now,
    )
    return worker.generations()[0].id


def worker_elsewhere(worker: WorkerHarness, store: PhotoStore, folder: Path) -> LiveIndex:
    return LiveIndex(
        worker.encoder.spec,
        worker.encoder_id,
        folder,
        lambda wanted: fetch_generation(store, folder, wanted.id, wanted.manifest_sha256),
    )


def test_a_worker_elsewhere_serves_what_was_published(
    worker: WorkerHarness, url: str, tmp_path: Path
) -> None:
    worker.list_pictures(1)
    store = PhotoStore(url)
    first = reindex(worker, store)
    assert published_generations(store) == {first}
    index = worker_elsewhere(worker, store, tmp_path / "elsewhere")
    with worker.database.read() as session:
        index.sync(session)
    assert (index.generation_id, index.index.rows) == (first, 1)
    index.close()

    worker.list_pictures(2)
    second = reindex(worker, store)
    assert published_generations(store) == {first, second}
    damage(url, "index.faiss", second)
    index = worker_elsewhere(worker, store, tmp_path / "elsewhere")
    with worker.database.read() as session:
        index.sync(session)
    assert (index.generation_id, index.index.rows) == (first, 2)
    index.close()

    third = reindex(worker, store)
    assert published_generations(store) == {second, third}


def test_what_can_not_be_published_is_not_switched_to(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.list_pictures(1)
    url = f"memory://{uuid4()}/photos"
    store = PhotoStore(url)
    first = reindex(worker, store)

    def full(_: stored_files.StoredFiles, name: str, data: bytes) -> None:
        raise Unavailable(f"{name}, {len(data)} bytes, can't be put into the photo store.")

    with monkeypatch.context() as patched:
        patched.setattr(stored_files.StoredFiles, "write", full)
        with pytest.raises(Unavailable):
            reindex(worker, store)
    failed, live = worker.generations()
    assert (failed.status, live.status) == (GenerationStatus.FAILED, GenerationStatus.LIVE)
    assert live.id == first
    assert published_generations(store) == {first}
    assert {path.name for path in worker.runtime.config.index.generations_dir.iterdir()} == {
        str(first)
    }


@pytest.mark.usefixtures("built")
def test_what_a_killed_build_published_is_removed(worker: WorkerHarness, folder: Path) -> None:
    worker.list_pictures(1)
    store = PhotoStore(f"memory://{uuid4()}/photos")
    first = reindex(worker, store)
    publish_generation(store, folder, first + 100)
    second = reindex(worker, store)
    assert published_generations(store) == {first, second}
