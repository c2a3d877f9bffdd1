"""An encoder's vectors of photos, cached on disk."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder, unit_rows
from models.labels import LabelledPhotos
from models.photo_decoding import decode
from models.training.data.arrays import Array, OnProgress, PhotoArrays, photo_arrays
from models.vectors import to_stored

StoredVectors = Callable[[EncoderSpec, Sequence[str]], Mapping[str, NDArray[np.float32]]]
"""Gives those vectors of an encoder, (dimension,), that are stored for photos of these SHA-256."""


def nothing_stored(spec: EncoderSpec, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """No vectors: all are computed."""
    del spec, hashes
    return {}


def features(
    photos: LabelledPhotos,
    encoder: Encoder,
    cache: Path,
    on_progress: OnProgress,
    stored: StoredVectors = nothing_stored,
) -> PhotoArrays:
    """The vector of each photo, cached in files under `cache`.

    Photos of several listings are embedded once, those that are `stored` not at all. After a kill,
    the next call resumes. Vectors are stored in half precision, as in the database. Raises as
    `Encoder.embed` and `LabelledPhotos.bytes_of` do.
    """

    def compute(hashes: Sequence[str]) -> Array:
        vectors = dict(stored(encoder.spec, hashes))
        lacking = [digest for digest in hashes if digest not in vectors]
        if lacking:
            photos_of_them = [decode(photos.bytes_of(digest)) for digest in lacking]
            vectors |= zip(lacking, encoder.embed(photos_of_them), strict=True)
        return to_stored(np.stack([vectors[digest] for digest in hashes]))

    return photo_arrays(cache / encoder.spec.fingerprint, photos.hashes, compute, on_progress)


def unit_vectors(kept: PhotoArrays, photos: LabelledPhotos) -> NDArray[np.float32]:
    """The unit vectors of these photos among those computed, (photos, dimension)."""
    return unit_rows(kept.take(photos.hashes).astype(np.float32))
