"""Item-to-item collaborative filtering by the library `implicit`, from events before each day.

Sarwar, Karypis, Konstan and Riedl, "Item-based Collaborative Filtering Recommendation Algorithms",
WWW 2001; each user's listings are weighted as BM25 weighs the words of a document.
"""

import warnings
from importlib.util import find_spec
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix

from models.domain.optional_dependencies import requires_extra
from models.evaluation.recommendations.events import DAY, Integers
from models.evaluation.recommendations.ranking import Asked, Replay

NEIGHBOURS: Final = 20
"""Listings that are kept as like each."""

REFIT: Final = 7 * DAY
"""It is fitted anew each week, to what was before the first day of it: never to what is later."""


def is_installed() -> bool:
    """Whether the library is there: it comes with an extra."""
    return find_spec("implicit") is not None


class ItemToItem:
    """What users who touched the same listings have touched, by BM25.

    What it has learned from is never later than the day that is asked for.
    """

    def __init__(self, replay: Replay, first_moment: int) -> None:
        self._replay = replay
        events = replay.events
        self._touches = events.touches
        self._users = int(events.users.max(initial=-1)) + 1
        self._first = first_moment
        self._fitted: tuple[int, csr_matrix] | None = None

    def top(self, asked: Asked) -> Integers:
        """See `Recommender`."""
        listings = np.unique(self._replay.liked(asked)[0])
        if not len(listings):
            return listings
        similarity = self._similarity(asked.moment)
        scores = np.asarray(similarity[listings].sum(axis=0)).reshape(-1)
        # Of what nobody has touched together with any of these, nothing is said.
        return self._replay.best(np.where(scores > 0, scores, -np.inf), asked.candidates)

    def _similarity(self, moment: int) -> csr_matrix:
        of = self._first + (moment - self._first) // REFIT * REFIT
        if self._fitted is None or self._fitted[0] != of:
            self._fitted = of, self._fit(of)
        return self._fitted[1]

    def _fit(self, moment: int) -> csr_matrix:
        known = self._touches.before(moment)
        ones = np.ones(len(known), np.float64)
        matrix = csr_matrix(
            (ones, (known.users, known.listings)), shape=(self._users, self._replay.n)
        )
        # Whether a listing was touched, and not how often.
        matrix.data[:] = 1.0
        if not matrix.nnz:
            return csr_matrix((self._replay.n, self._replay.n))
        with requires_extra("train"):
            # Imported here: serving machines do not have it.
            from implicit.nearest_neighbours import BM25Recommender  # noqa: PLC0415
            from implicit.utils import ParameterWarning  # noqa: PLC0415
        model = BM25Recommender(K=NEIGHBOURS, num_threads=1)
        with warnings.catch_warnings():
            # The library passes its own matrix on in another format than it asks for.
            warnings.simplefilter("ignore", ParameterWarning)
            model.fit(matrix, show_progress=False)
        return model.similarity.tocsr()
