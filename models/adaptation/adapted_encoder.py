"""An encoder whose vectors are another's, mapped."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.adaptation.adaptation import Adaptation, Restoration, read_adaptation
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder, FeatureMap, MapsFeatures
from models.encoders.package import verify_file
from models.vectors import as_stored

Key = TypeVar("Key")


class AdaptedEncoder:
    """Embeds photos by its `base`, and maps the vectors. The map must hash to `map_sha256`."""

    def __init__(self, spec: EncoderSpec, base: Encoder, map_file: Path, map_sha256: str) -> None:
        self.base = base
        self._spec = spec
        self._file = map_file
        self._sha256 = map_sha256
        self._lock = Lock()
        self._adaptation: Adaptation | None = None
        self._restoration: Restoration | None = None

    @property
    def spec(self) -> EncoderSpec:
        """The identity of this encoder, known before it is loaded."""
        return self._spec

    @property
    def runtime(self) -> str:
        """The runtime of the base."""
        return self.base.runtime

    def load(self) -> None:
        """Load the base and read the map, once. Raises WeightsError."""
        self.base.load()
        self._loaded()

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed upright RGB photos; see `Encoder.embed`."""
        return self.adapt(self.base.embed(photos))

    def adapt(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """This encoder's vectors (n, dimension) of photos, from their vectors by the base.

        Those are rounded as if they had been stored: whether they were makes no difference. Raises
        WeightsError.
        """
        rounded = vectors.copy()
        seen = vectors.any(axis=1)
        rounded[seen] = as_stored(vectors[seen])
        return self._loaded().apply(rounded)

    def restore(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """About what the base's vectors (n, base dimension) of the same photos were.

        See `Restoration`. Raises WeightsError.
        """
        if self._restoration is None:
            self._restoration = self._loaded().restoration()
        return self._restoration.apply(vectors)

    def _loaded(self) -> Adaptation:
        with self._lock:
            if self._adaptation is None:
                verify_file(self._file, self._sha256)
                self._adaptation = read_adaptation(self._file, self.base.spec)
            return self._adaptation


def embed_by_all(
    encoders: Mapping[Key, Encoder],
    photos: Mapping[int, Image.Image],
    wanted: Mapping[Key, AbstractSet[int]],
) -> dict[Key, dict[int, NDArray[np.float32]]]:
    """Each encoder's vectors of those photos that are wanted of it, by photo.

    Encoders of one base share its work: each base embeds a photo once.
    """
    by_base: dict[EncoderSpec, dict[Key, Encoder]] = {}
    for key, encoder in encoders.items():
        by_base.setdefault(base_of(encoder).spec, {})[key] = encoder
    found: dict[Key, dict[int, NDArray[np.float32]]] = {key: {} for key in encoders}
    for group in by_base.values():
        ids = [photo_id for photo_id in photos if any(photo_id in wanted[key] for key in group)]
        if not ids:
            continue
        base = base_of(next(iter(group.values())))
        vectors = base.embed([photos[photo_id] for photo_id in ids])
        for key, encoder in group.items():
            rows = [row for row, photo_id in enumerate(ids) if photo_id in wanted[key]]
            own = vectors[rows]
            if isinstance(encoder, AdaptedEncoder):
                own = encoder.adapt(own)
            found[key] = {ids[row]: vector for row, vector in zip(rows, own, strict=True)}
    return found


def feature_map_of(encoder: Encoder, photo: Image.Image) -> FeatureMap | None:
    """The map of a photo by an encoder, or by the one that it adapts; None if it has no network.

    Raises WeightsError.
    """
    base = base_of(encoder)
    return base.feature_map(photo) if isinstance(base, MapsFeatures) else None


def base_of(encoder: Encoder) -> Encoder:
    """The encoder whose vectors this one maps; the encoder itself if it maps none."""
    return encoder.base if isinstance(encoder, AdaptedEncoder) else encoder
