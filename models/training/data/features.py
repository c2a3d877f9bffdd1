"""An encoder's vectors of photos, cached on disk."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoders.encoder import Encoder, unit_rows
from models.labels import LabelledPhotos
from models.photos import decode
from models.training.data.arrays import Array, OnProgress, PhotoArrays, photo_arrays
from models.vectors import to_stored


def features(
    photos: LabelledPhotos, encoder: Encoder, cache: Path, on_progress: OnProgress
) -> PhotoArrays:
    """The vector of each photo, cached in files under `cache`.

    Photos of several listings are embedded once. After a kill, the next call resumes. Vectors are
    stored in half precision, as in the database. Raises as `Encoder.embed` and
    `LabelledPhotos.bytes_of` do.
    """

    def compute(hashes: Sequence[str]) -> Array:
        return to_stored(encoder.embed([decode(photos.bytes_of(digest)) for digest in hashes]))

    return photo_arrays(cache / encoder.spec.fingerprint, photos.hashes, compute, on_progress)


def unit_vectors(kept: PhotoArrays, photos: LabelledPhotos) -> NDArray[np.float32]:
    """The unit vectors of these photos among those computed, (photos, dimension)."""
    return unit_rows(kept.take(photos.hashes).astype(np.float32))
