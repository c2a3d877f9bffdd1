"""The interface of every index, whatever its engine."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.domain.types import Match

DEFAULT_MATCHES = 256


class PhotoIndex(Protocol):
    """The live photos of one encoder, one unit vector each, searched by cosine.

    For one thread. Matches come best first, equal ones by id; a similarity is the cosine of the
    vectors as the database keeps them, whichever way a photo was found. Searches raise InvalidInput
    if the query is not a finite vector of unit length and of the index's dimension.
    """

    @property
    def rows(self) -> int:
        """Photos that can be found."""
        ...

    @property
    def exact(self) -> bool:
        """Whether `matches` and `only` miss nothing."""
        ...

    def matches(
        self, query: NDArray[np.float32], *, expect: int = DEFAULT_MATCHES
    ) -> Iterator[Match]:
        """All photos, searched lazily; `expect` is how many are likely to be consumed.

        Consuming more costs another search. With the same `expect`, an index that has
        not changed gives the same matches in the same order.
        """
        ...

    def among(self, query: NDArray[np.float32], photo_ids: NDArray[np.int64]) -> list[Match]:
        """Those of the photos `photo_ids` (n,) that are in the index: always exact."""
        ...

    def vectors_of(
        self, photo_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the photos `photo_ids` (n,), each once, that are in the index.

        And their vectors (m, dimension), in the same order, as the database keeps them.
        """
        ...

    def only(
        self,
        query: NDArray[np.float32],
        photo_ids: NDArray[np.int64],
        *,
        expect: int = DEFAULT_MATCHES,
    ) -> Iterator[Match]:
        """As `matches`, of the photos `photo_ids` (n,) alone."""
        ...
