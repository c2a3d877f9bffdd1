"""The match labels of what a search has found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import FiledIn, filed_in
from db.vectors.embeddings import vector_of_photo
from db.vectors.encoders import matching_of
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.domain.text import sub_category
from models.domain.types import Match
from models.matching.labels import NEIGHBOURS, VOTERS, Calibration, label_of, stored_calibration
from workers.search.active_engine import SearchEngine
from workers.search.query import Query
from workers.search.results import Found


class Labeller:
    """Labels the results of searches with one encoder, as a transaction sees its calibration."""

    def __init__(self, session: Session, engine: SearchEngine) -> None:
        self._session = session
        self._engine = engine
        self._calibration: Calibration | None = None
        self._is_read = False

    def labelled(
        self,
        query: Query,
        vectors: NDArray[np.float32],
        listings: Sequence[Found],
        nearest: Sequence[Match],
    ) -> Sequence[Found]:
        """A page's listings with their labels, found for a query by `vectors` (n, dimension).

        `nearest` are the nearest photos of all. Nothing has a label where the encoder is not
        calibrated, nor for a query of several examples, or of negative ones: its vector is no
        photo's, and thresholds that were fitted to photos say nothing about it.
        """
        calibration = self._read()
        if calibration is None or len(query.positives) != 1 or query.negatives:
            return listings
        filed, others = self._filed(query, listings, nearest)
        is_stranger = self._is_stranger(calibration, vectors, _nearest(others, listings))
        reference, agreements = _reference(others, filed), _agreements(others[:VOTERS], filed)

        def label(one: Found) -> Found:
            if one.similarity is None or one.photo_id is None:
                return one
            match = label_of(
                one.similarity,
                calibration,
                reference=reference,
                agreement=agreements.get(one.photo_id),
                is_stranger=is_stranger,
            )
            return replace(one, match=match)

        return [label(one) for one in listings]

    def _filed(
        self, query: Query, listings: Sequence[Found], nearest: Sequence[Match]
    ) -> tuple[Mapping[int, FiledIn], Sequence[Match]]:
        """Where photos are filed, and the nearest ones that are not the query's own."""
        if not nearest:
            return {}, nearest
        photos = {one.photo_id for one in listings if one.photo_id is not None}
        shown_in = filed_in(self._session, photos | {match.photo_id for match in nearest})
        own = {
            photo_id
            for photo_id, shown in shown_in.items()
            if any(one.listing_id in query.listings for one in shown)
        }
        others = [match for match in nearest if match.photo_id not in own]
        # Of several listings that show one photo, the first by id.
        filed = {photo_id: shown[0] for photo_id, shown in shown_in.items()} if others else {}
        return filed, others

    def _read(self) -> Calibration | None:
        if not self._is_read:
            stored = matching_of(self._session, self._engine.encoder_id)
            self._calibration, self._is_read = stored_calibration(stored), True
        return self._calibration

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


def _nearest(others: Sequence[Match], listings: Sequence[Found]) -> Match | None:
    """The nearest photo. A filter may leave so few that no neighbourhood is known, but it is."""
    shown = [
        Match(one.photo_id, one.similarity)
        for one in listings
        if one.photo_id is not None and one.similarity is not None
    ]
    return max(others or shown, key=lambda match: match.similarity, default=None)


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
