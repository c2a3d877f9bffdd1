"""Connected components of pairwise links, by union-find. Items are numbered from 0."""

import numpy as np
from numpy.typing import NDArray


class DisjointSets:
    """Numbers from 0 to `size` - 1 in disjoint sets that can be merged: a union-find forest."""

    def __init__(self, size: int) -> None:
        self._parents = np.arange(size, dtype=np.int64)

    def copy(self) -> "DisjointSets":
        """An independent copy."""
        other = DisjointSets(0)
        other._parents = self._parents.copy()
        return other

    def find(self, number: int) -> int:
        """The representative of the number's set: its least number."""
        parents = self._parents
        while (parent := int(parents[number])) != number:
            parents[number] = parents[parent]
            number = parent
        return number

    def merge(self, one: int, other: int) -> None:
        """Merge the sets of these two numbers."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parents[high] = low

    def roots(self) -> NDArray[np.int64]:
        """The representative of each number's set (size,)."""
        while True:
            above = self._parents[self._parents]
            if np.array_equal(above, self._parents):
                return above
            self._parents = above


class Links:
    """Connected components of the items from 0 to n - 1.

    `similarities` (n,) float32 are those of each item's best link, and 0 without one.
    """

    def __init__(self, sets: DisjointSets, similarities: NDArray[np.float32]) -> None:
        self.sets = sets
        self.similarities = similarities

    def copy(self) -> "Links":
        """An independent copy."""
        return Links(self.sets.copy(), self.similarities.copy())

    def joined(self, one: int, other: int) -> bool:
        """Whether two items are in one component."""
        return self.sets.find(one) == self.sets.find(other)

    def add(self, one: int, other: int, similarity: float) -> None:
        """Link two items."""
        self.sets.merge(one, other)
        for item in (one, other):
            self.similarities[item] = max(self.similarities[item], similarity)

    def groups(self) -> list[NDArray[np.intp]]:
        """The linked items of each component, in order; components by their least item."""
        linked = np.flatnonzero(self.similarities)
        roots = self.sets.roots()[linked]
        order = np.argsort(roots, kind="stable")
        starts = np.flatnonzero(np.diff(roots[order])) + 1
        return np.split(linked[order], starts) if len(linked) else []
