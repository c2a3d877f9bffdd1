"""The match labels of what a search has found."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import categories_shown, photos_of
from db.vectors.embeddings import vector_of_photo
from db.vectors.encoders import matching_of
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.domain.text import sub_category
from models.domain.types import ListingMatch, Match, MatchLabel
from models.matching.labels import NEIGHBOURS, VOTERS, Calibration, label_of, stored_calibration
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
        others = [match for match in found.nearest if match.photo_id not in own][:VOTERS]
        # A filter may leave so few that no neighbourhood is known, but the nearest photo is.
        first = [Match(match.photo_id, match.similarity) for match in found.listings[:1]]
        nearest = next(chain(others, first), None)
        is_stranger = self._is_stranger(calibration, vectors, nearest)
        is_known = len(others) >= NEIGHBOURS
        agreements = self._agreements(others, found.listings) if is_known else {}
        return [
            label_of(
                match.similarity,
                calibration,
                reference=others[NEIGHBOURS - 1].similarity if is_known else None,
                agreement=agreements.get(match.photo_id),
                is_stranger=is_stranger,
            )
            for match in found.listings
        ]

    def _agreements(
        self, voters: Sequence[Match], found: Sequence[ListingMatch]
    ) -> dict[int, float]:
        """The share of the voters of each found photo's sub category, where it has one."""
        ids = {voter.photo_id for voter in voters} | {match.photo_id for match in found}
        paths = categories_shown(self._session, ids)
        kinds = {photo_id: sub_category(path) for photo_id, path in paths.items() if path}
        votes = Counter(kinds.get(voter.photo_id) for voter in voters)
        return {
            match.photo_id: votes[kinds[match.photo_id]] / len(voters)
            for match in found
            if match.photo_id in kinds
        }

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
