"""Arrays computed from photos, cached on disk in chunks; a killed process loses one chunk."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from models.domain.durable_files import atomic_file

Array = NDArray[np.generic]
# Called with how many photos are done, and how many there are.
OnProgress = Callable[[int, int], None]

CHUNK: Final = 256
"""Photos in one file."""


class PhotoArrays:
    """An array for each photo, all of one shape. The files are mapped, not read into memory."""

    def __init__(self, hashes: Sequence[str], chunks: Sequence[Array]) -> None:
        self._row = {digest: row for row, digest in enumerate(hashes)}
        self._chunks = chunks

    def take(self, hashes: Iterable[str]) -> Array:
        """The arrays of these photos: (photos, ...)."""
        places = (divmod(self._row[digest], CHUNK) for digest in hashes)
        return np.stack([self._chunks[chunk][row] for chunk, row in places])


def photo_arrays(
    folder: Path,
    hashes: Iterable[str],
    compute: Callable[[Sequence[str]], Array],
    on_progress: OnProgress,
) -> PhotoArrays:
    """An array for each photo by its SHA-256; what is not in `folder` is computed and kept there.

    `compute` gives the arrays of at most `CHUNK` photos, (photos, ...). The folder must be for
    this computation alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = sorted(set(hashes))
    chunks = []
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        # Named by its photos: other photos, other files.
        path = folder / f"{sha256(' '.join(chunk).encode()).hexdigest()}.npy"
        # Concurrent runs with the same photos wait for each other and share the files.
        with FileLock(folder / ".lock"):
            if not path.is_file():
                with atomic_file(path) as file:
                    np.save(file, compute(chunk), allow_pickle=False)
        chunks.append(np.load(path, mmap_mode="r", allow_pickle=False))
        on_progress(start + len(chunk), len(wanted))
    return PhotoArrays(wanted, chunks)
