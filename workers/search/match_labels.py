"""The match labels of what a search has found."""

from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photos_of
from db.vectors.embeddings import vector_of_photo
from db.vectors.encoders import matching_of
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.domain.types import Match, MatchLabel
from models.matching.labels import NEIGHBOURS, Calibration, label_of, stored_calibration
from workers.search.active_engine import SearchEngine
from workers.search.query import Query
from workers.search.retrieval import Retrieved

Labels = Sequence[MatchLabel] | None
"""The label of each listing of a page; None where the encoder is not calibrated."""


class Labeller:
    """Labels the results of searches with one encoder, as a transaction sees its calibration."""

    def __init__(self, session: Session, engine: SearchEngine) -> None:
        self._session = session
        self._engine = engine
        self._calibration = stored_calibration(matching_of(session, engine.encoder_id))

    def labels(self, query: Query, vectors: NDArray[np.float32], found: Retrieved) -> Labels:
        """The labels of a page that was found for a query by `vectors` (n, dimension).

        None for a query of several examples, or of negative ones: its vector is no photo's, and
        thresholds that were fitted to photos say nothing about it.
        """
        calibration = self._calibration
        if calibration is None or len(query.positives) != 1 or query.negatives:
            return None
        own = photos_of(self._session, query.listings) if query.listings else ()
        nearest, reference = _neighbourhood(found, own)
        is_stranger = self._is_stranger(calibration, vectors, nearest)
        return [
            label_of(match.similarity, calibration, reference=reference, is_stranger=is_stranger)
            for match in found.listings
        ]

    def _is_stranger(
        self, calibration: Calibration, vectors: NDArray[np.float32], nearest: Match | None
    ) -> bool:
        """Whether even the nearest photo does not look like the query.

        An adapted encoder is not asked that: what it has learned, it has learned of the catalogue.
        """
        if nearest is None:
            return False
        encoder = self._engine.encoder
        if not isinstance(encoder, AdaptedEncoder):
            return nearest.similarity < calibration.stranger
        vector = vector_of_photo(self._session, self._engine.encoder_id, nearest.photo_id)
        if vector is None:
            return False
        looks = encoder.restore(vectors) @ encoder.restore(vector[np.newaxis])[0]
        return bool(looks.max() < calibration.stranger)


def _neighbourhood(found: Retrieved, own: Collection[int]) -> tuple[Match | None, float | None]:
    """The nearest photo of others, and the similarity of that of rank `NEIGHBOURS` if known."""
    others = list(islice((m for m in found.nearest if m.photo_id not in own), NEIGHBOURS))
    if len(others) == NEIGHBOURS:
        return others[0], others[-1].similarity
    if others:
        return others[0], None
    if found.listings:
        first = found.listings[0]
        return Match(first.photo_id, first.similarity), None
    return None, None
