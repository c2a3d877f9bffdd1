"""The match labels of what a search has found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import FiledIn, filed_in, photos_of
from db.vectors.embeddings import vector_of_photo
from db.vectors.encoders import matching_of
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.domain.text import sub_category
from models.domain.types import Match, MatchLabel
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
        others = [match for match in found.nearest if match.photo_id not in own]
        # A filter may leave so few that no neighbourhood is known, but the nearest photo is.
        first = [Match(match.photo_id, match.similarity) for match in found.listings[:1]]
        nearest = next(chain(others, first), None)
        is_stranger = self._is_stranger(calibration, vectors, nearest)
        ids = {match.photo_id for match in others} | {match.photo_id for match in found.listings}
        filed = filed_in(self._session, ids) if others and not is_stranger else {}
        reference, agreements = _reference(others, filed), _agreements(others[:VOTERS], filed)
        return [
            label_of(
                match.similarity,
                calibration,
                reference=reference,
                agreement=agreements.get(match.photo_id),
                is_stranger=is_stranger,
            )
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


def _reference(nearest: Sequence[Match], filed: Mapping[int, FiledIn]) -> float | None:
    """The similarity of the listing of rank `NEIGHBOURS`; None if there are fewer."""
    listings: dict[UUID, float] = {}
    for match in nearest:
        if match.photo_id in filed:
            listings.setdefault(filed[match.photo_id].listing_id, match.similarity)
    return next(islice(listings.values(), NEIGHBOURS - 1, None), None)


def _agreements(voters: Sequence[Match], filed: Mapping[int, FiledIn]) -> dict[int, float]:
    """The share of the voters that are of each photo's sub category, where it has one.

    None are given for fewer than `VOTERS`.
    """
    if len(voters) < VOTERS:
        return {}
    kinds = {
        photo_id: sub_category(one.category) for photo_id, one in filed.items() if one.category
    }
    votes = Counter(kinds.get(voter.photo_id) for voter in voters)
    return {photo_id: votes[kind] / VOTERS for photo_id, kind in kinds.items()}
