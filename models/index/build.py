"""Building a generation aside and publishing it in one step, and removing one."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.domain import EncoderSpec
from models.errors import Conflict, RecallTooLow
from models.index.engine import nearest, open_mapped, write_index
from models.index.evaluate import Measurement, measure
from models.index.files import durable, make_folder, sha256_of, sync_folder
from models.index.manifest import (
    DATA_FILES,
    FORMAT_VERSION,
    IDS_FILE,
    INDEX_FILE,
    MANIFEST_FILE,
    METRIC,
    Manifest,
    to_json,
)
from models.index.rows import SpooledRows, spool

# Enough for the quantisers of FAISS, which sample their training rows themselves, and it bounds
# memory: 400 MB at 2,048 dimensions.
MAX_TRAINING_ROWS = 50_000
_SPOOL_FILE = "rows.f32"


@dataclass(frozen=True, slots=True)
class BuiltGeneration:
    """A published generation; record `manifest_sha256` to prove later that it is still the same."""

    manifest: Manifest
    manifest_sha256: str


def build_generation(
    target: Path,
    batches: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    *,
    encoder: EncoderSpec,
    last_change: int,
    created_at: datetime,
    recall_target: float,
    factory: str = "Flat",
    seed: int = 0,
    heartbeat: Callable[[int], None] = lambda _rows: None,
) -> BuiltGeneration:
    """Build the generation of all rows in `batches` in the new folder `target`.

    A batch is photo ids (n,) and their vectors (n, dimension) of unit length, in any order.
    `last_change` is the last change number that the rows reflect. `factory` is a FAISS factory
    string; `seed` settles which rows train it and measure it: the same input gives the same index
    file. `heartbeat` gets the number of rows read so far, then all of them during each later
    step; what it raises stops the build.

    Whatever happens, `target` either does not exist or is whole and on the disk; what a killed
    build left beside it is removed by the next build or `remove_generation` of the same target.
    A generation without rows is a good one, of recall 1.

    Raises Conflict if `target` exists, InvalidInput if a photo comes twice or its vector is not
    usable, RecallTooLow if recall@10 is under `recall_target`, OSError if the disk is full.
    """
    if target.exists():
        raise Conflict(f"{target} exists; a generation is never written over.")
    make_folder(target.parent)
    _remove_leftovers(target)
    aside = _sibling(target)
    aside.mkdir()
    try:
        rows = spool(aside / _SPOOL_FILE, batches, encoder.dimension, heartbeat)
        beat = partial(heartbeat, len(rows))
        measured = _write_data(
            aside, rows, encoder.dimension, factory, np.random.default_rng(seed), beat
        )
        if measured.recall_at_10 < recall_target:
            raise RecallTooLow(
                f"Recall@10 is {measured.recall_at_10:.3f}, under the target of {recall_target}."
            )
        (aside / _SPOOL_FILE).unlink()
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            encoder=encoder.name,
            fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            metric=METRIC,
            factory=factory,
            rows=len(rows),
            last_change=last_change,
            recall_at_10=measured.recall_at_10,
            p50_ms=measured.p50_ms,
            bytes=sum((aside / name).stat().st_size for name in DATA_FILES),
            created_at=created_at.isoformat(),
            files={name: sha256_of(aside / name) for name in sorted(DATA_FILES)},
        )
        raw = to_json(manifest)
        with durable(aside / MANIFEST_FILE) as file:
            file.write(raw)
        beat()
        _publish(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return BuiltGeneration(manifest, sha256(raw).hexdigest())


def remove_generation(folder: Path) -> None:
    """Delete a generation, and what killed builds or removals of it left; nothing there is fine.

    Killed half-way, the folder is either whole or gone, and a second call deletes the rest.
    Processes that have it open keep their mapping. Raises OSError.
    """
    if folder.exists():
        folder.rename(_sibling(folder))
        sync_folder(folder.parent)
    _remove_leftovers(folder)


def _write_data(
    folder: Path,
    rows: SpooledRows,
    dimension: int,
    factory: str,
    rng: np.random.Generator,
    beat: Callable[[], None],
) -> Measurement:
    """Write the data files, and measure the index as it will be served: mapped from its file."""
    with durable(folder / IDS_FILE) as file:
        np.save(file, rows.ids, allow_pickle=False)
    write_index(
        folder / INDEX_FILE,
        factory,
        dimension,
        training=lambda: rows.sample(MAX_TRAINING_ROWS, rng),
        blocks=rows.blocks(beat),
    )
    beat()
    index = open_mapped(folder / INDEX_FILE)
    return measure(lambda query, k: nearest(index, query, k)[0], rows, rng=rng, beat=beat)


def _publish(aside: Path, target: Path) -> None:
    try:
        sync_folder(aside)
        aside.rename(target)
    except OSError as error:
        if target.exists():  # another build of the same target took over
            raise Conflict(f"{target} exists; a generation is never written over.") from error
        raise
    sync_folder(target.parent)


def _sibling(folder: Path) -> Path:
    """A new hidden name beside `folder`, that nothing takes for a generation."""
    # Never the same twice: a build that was thought dead must not write into its successor's.
    return folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")


def _remove_leftovers(folder: Path) -> None:
    sibling = re.compile(rf"\.{re.escape(folder.name)}\.\d+-[0-9a-f]{{8}}")
    for path in folder.parent.glob(".*"):
        if sibling.fullmatch(path.name):
            shutil.rmtree(path)
