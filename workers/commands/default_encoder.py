"""The active encoder and its stored vectors, for commands that are not told another."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from command_line.resources import database_exists, database_of, library_of
from db.vectors.embeddings import vectors_of_hashes
from db.vectors.encoders import active_encoder, find_encoder
from models.domain.types import EncoderSpec
from models.encoders.weights import ProgressCallback
from models.training.data.features import StoredVectors, nothing_stored
from settings import Settings


def active_or_configured(settings: Settings, on_progress: ProgressCallback) -> EncoderSpec:
    """The active encoder; where there is none, the one that the settings ask for.

    Raises WeightsError.
    """
    if database_exists(settings):
        with database_of(settings) as database, database.read() as session:
            active = active_encoder(session)
        if active is not None:
            return active.spec
    return library_of(settings).configured(on_progress)


@contextmanager
def stored_vectors(settings: Settings) -> Generator[StoredVectors]:
    """The vectors that the database has, if there is one."""
    if not database_exists(settings):
        yield nothing_stored
        return
    with database_of(settings) as database:

        def look_up(spec: EncoderSpec, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
            with database.read() as session:
                encoder = find_encoder(session, spec)
                return {} if encoder is None else vectors_of_hashes(session, encoder.id, hashes)

        yield look_up
