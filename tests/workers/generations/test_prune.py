"""What is not kept goes, whatever was killed on the way; what is kept or in use stays."""

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from db.jobs import accepting, cancelling
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors import generations
from db.vectors.encoders import register_encoder
from models.domain.job_payloads import EmbedPayload
from models.domain.types import EncoderSpec, GenerationStatus
from tests.support.clock import Clock
from workers.generations.prune import (
    Pruned,
    RemovedFiles,
    prune,
    remove_unused_files,
    remove_unused_folders,
    would_prune,
)

SPECS = (EncoderSpec("hog", 4, "a" * 64), EncoderSpec("other", 4, "b" * 64))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "generations"
    made.mkdir()
    return made


def add(database: Database, folder: Path, clock: Clock, spec: EncoderSpec = SPECS[0]) -> int:
    """A generation that has just become live, and something that looks like its files."""
    generation_id = begin(database, clock, spec)
    with database.write() as session:
        generations.activate(session, generation_id, clock())
    make(folder / str(generation_id))
    return generation_id


def begin(database: Database, clock: Clock, spec: EncoderSpec = SPECS[0]) -> int:
    clock.advance(seconds=1)
    with database.write() as session:
        encoder_id = register_encoder(session, spec, clock())
        job = accepting.accept(session, EmbedPayload(photo_ids=()), job_id=uuid4(), now=clock())
        return generations.begin(session, encoder_id, job.id, clock()).id


def make(folder: Path) -> None:
    folder.mkdir()
    for name in ("manifest.json", "index.faiss", "ids.npy"):
        (folder / name).write_bytes(b"something")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_each_encoder_keeps_its_own(
    any_database: Database, folder: Path, clock: Clock, store: PhotoStore
) -> None:
    old, live = (add(any_database, folder, clock) for _ in range(2))
    others = [add(any_database, folder, clock, SPECS[1]) for _ in range(3)]
    would = would_prune(any_database, folder, store, keep=2)
    assert would == Pruned([others[0]], RemovedFiles([others[0]], [], []))
    assert prune(any_database, folder, store, keep=2) == would
    assert names(folder) == {str(number) for number in (old, live, *others[1:])}
    with any_database.read() as session:
        first = generations.get(session, old).encoder_id
    assert prune(any_database, folder, store, keep=1, encoder_ids=[first]).retired == [old]
    assert names(folder) == {str(number) for number in (live, *others[1:])}


def test_what_no_row_has_use_for_is_swept(
    any_database: Database, folder: Path, clock: Clock, store: PhotoStore
) -> None:
    live, building, failed = (
        add(any_database, folder, clock),
        begin(any_database, clock),
        begin(any_database, clock),
    )
    with any_database.write() as session:
        generations.end(session, failed, GenerationStatus.FAILED, "It was.")
    kept = {str(live), f".{building}.77-0123abcd", "notes", "12.old"}
    for name in kept - {str(live)} | {
        str(failed),
        f".{failed}.77-0123abcd",
        f".{live}.77-0123abcd",
        "999",
        ".999.77-0123abcd",
        ".fetching",
    }:
        make(folder / name)
    assert remove_unused_files(any_database, folder, store).removed == [failed, 999]
    assert names(folder) - {".fetching.lock"} == kept


def test_a_build_that_nobody_goes_on_with_is_ended(
    any_database: Database, folder: Path, clock: Clock, store: PhotoStore
) -> None:
    building = begin(any_database, clock)
    make(folder / f".{building}.77-0123abcd")
    prune(any_database, folder, store, keep=1)
    assert names(folder) == {f".{building}.77-0123abcd"}
    with any_database.write() as session:
        job_id = generations.get(session, building).job_id
        assert job_id
        cancelling.cancel(session, job_id, clock())
    prune(any_database, folder, store, keep=1)
    assert names(folder) == set()
    with any_database.read() as session:
        assert generations.get(session, building).status is GenerationStatus.FAILED


def test_there_may_be_no_folder_yet(
    any_database: Database, tmp_path: Path, store: PhotoStore
) -> None:
    nothing = Pruned([], RemovedFiles([], [], []))
    assert would_prune(any_database, tmp_path / "nowhere", store, keep=1) == nothing
    assert prune(any_database, tmp_path / "nowhere", store, keep=1) == nothing
    assert not (tmp_path / "nowhere").exists()


# Each child is killed one step later than the one before, until one gets through: a step is
# whatever Python is about to do to the folder or the database, and any deletion.
KILLED_AT_EVERY_STEP = """
import os, shutil, signal, sys
from pathlib import Path
from db.store.photo_store import PhotoStore
from db.session import Database
from workers.generations.prune import prune

root = Path(sys.argv[1])

def in_child(copy, step):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    steps = 0
    def audit(event, args):
        nonlocal steps
        if event in {"os.remove", "os.rmdir"} or args and str(copy) in str(args[0]):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(audit)
    database = Database(f"sqlite:///{copy}/marketlens.db")
    prune(database, copy / "generations", PhotoStore(str(copy / "photos")), keep=1)
    os._exit(0)

status, step = None, 0
while status != 0:
    step += 1
    copy = root.parent / f"copy-{step}"
    shutil.copytree(root, copy)
    status = in_child(copy, step)
    assert os.WIFSIGNALED(status) or status == 0, status
    assert in_child(copy, 0) == 0
    left = sorted(os.listdir(copy / "generations"))
    assert left == ["3"], (step, left)
print(step)
"""


def test_a_prune_that_is_killed_is_finished_by_the_next(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    root = tmp_path / "install"
    root.mkdir()
    (root / "generations").mkdir()
    for _ in range(3):
        add(database, root / "generations", clock)
    make(root / "generations" / ".3.77-0123abcd")
    database.close()
    (root / "marketlens.db").write_bytes((tmp_path / "marketlens.db").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(root)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_folders_are_removed_by_one_process_at_a_time(any_database: Database, folder: Path) -> None:
    make(folder / "999")
    another = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(another, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        try:
            removal = pool.submit(remove_unused_folders, any_database, folder)
            with pytest.raises(TimeoutError):
                removal.result(timeout=0.5)
            assert names(folder) == {"999"}
        finally:
            os.close(another)
        assert removal.result() == ([999], [])
