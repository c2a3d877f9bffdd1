"""The vectors of an adapted encoder for photos that its base has embedded: no photo is read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.session import Database
from db.vectors.embeddings import add_derived, count_underived, underived_after
from db.vectors.encoders import find_encoder
from models.adaptation.adaptation import read_adaptation
from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from models.encoders.package import verify_file


@dataclass(frozen=True, slots=True)
class Derivation:
    """How an adapted encoder's vectors (n, dimension) come from its base's."""

    base: EncoderSpec
    adapt: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def derivation_of(library: EncoderLibrary, spec: EncoderSpec) -> Derivation | None:
    """How this encoder's vectors come from its base's; None if it is not adapted.

    Raises WeightsError.
    """
    package = library.adapted(spec)
    if package is None:
        return None
    verify_file(package.map, package.map_sha256)
    # Stored vectors are rounded already.
    return Derivation(package.base, read_adaptation(package.map, package.base).apply)


def derive_vectors(
    database: Database,
    encoder_id: int,
    derivation: Derivation,
    on_progress: Callable[[int, int], None],
) -> int:
    """Store the vectors that the encoder lacks and its base has; how many.

    They are stored in batches, each in its own transaction: after a kill, the next call goes on.
    """
    with database.read() as session:
        base = find_encoder(session, derivation.base)
        if base is None:
            return 0
        total = count_underived(session, encoder_id, base.id)
    done = last = 0
    while True:
        with database.read() as session:
            vectors = underived_after(session, encoder_id, base.id, last)
        if not vectors:
            return done
        with database.write() as session:
            add_derived(session, encoder_id, _adapted(vectors, derivation))
        last = max(vectors)
        done += len(vectors)
        on_progress(done, max(total, done))


def _adapted(
    vectors: dict[int, NDArray[np.float32] | None], derivation: Derivation
) -> dict[int, NDArray[np.float32] | None]:
    seen = {photo_id: vector for photo_id, vector in vectors.items() if vector is not None}
    if seen:
        rows = derivation.adapt(np.stack(list(seen.values())))
        vectors |= zip(seen, rows, strict=True)
    return vectors
