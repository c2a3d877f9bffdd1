"""The encoders that an embed worker holds, opened when a job first needs them."""

import logging
from collections.abc import Callable, Collection

from db.session import Database
from db.tables import Encoder as EncoderRow
from db.vectors.encoders import followed_encoders, get_encoder
from models.domain.errors import Conflict, WeightsError
from models.domain.types import EncoderSpec, EncoderStatus
from models.encoders.encoder import Encoder

log = logging.getLogger(__name__)


OpenEncoder = Callable[[EncoderSpec, Callable[[EncoderSpec], Encoder]], Encoder]
"""Gives an encoder, not loaded yet; the base of an adapted one by the function that it is given.

Raises WeightsError if this machine lacks its files.
"""


class OpenEncoders:
    """Loaded encoders, by their specs."""

    def __init__(self, open_encoder: OpenEncoder) -> None:
        self._open = open_encoder
        self._loaded: dict[EncoderSpec, Encoder] = {}

    def get(self, spec: EncoderSpec) -> Encoder:
        """The encoder, loaded. Raises WeightsError."""
        if spec not in self._loaded:
            encoder = self._open(spec, self.get)
            encoder.load()
            log.info("opened %s, run by %s", spec.label, encoder.runtime)
            self._loaded[spec] = encoder
        return self._loaded[spec]

    def keep(self, specs: Collection[EncoderSpec]) -> None:
        """Drop all other encoders."""
        self._loaded = {spec: encoder for spec, encoder in self._loaded.items() if spec in specs}


def encoders_for(
    encoder_id: int | None, database: Database, encoders: OpenEncoders
) -> dict[int, Encoder]:
    """The encoders that an embed job uses, by id: the one it names, or all that are followed.

    The first is the one it names, or the active one: WeightsError is raised if that can't be
    opened. Another that can't be opened here is left out, so that an encoder that is only kept up
    to date never delays the active one.
    """
    with database.read() as session:
        followed = followed_encoders(session)
        wanted = followed
        if encoder_id is not None:
            wanted = [get_encoder(session, encoder_id)]
    encoders.keep({row.spec for row in [*followed, *wanted]})
    return _opened(wanted, encoders)


def _opened(wanted: list[EncoderRow], encoders: OpenEncoders) -> dict[int, Encoder]:
    opened: dict[int, Encoder] = {}
    for row in wanted:
        if row.status is EncoderStatus.RETIRED:
            raise Conflict(f"{row.spec.label} was retired.")
        try:
            opened[row.id] = encoders.get(row.spec)
        except WeightsError as error:
            if row is wanted[0]:
                raise
            log.warning("photos are not embedded by %s: %s", row.spec.label, error)
    return opened
