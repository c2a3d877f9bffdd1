"""What users chose, of what they could have chosen: what a ranking is learned from. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.searches.options import RankPart, RankWeights

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

TOP: Final = 20
"""How many of an order count: the depth of nDCG."""
NO_POSITION: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """An answer, or a moment, and what its user chose: n candidates, equals are in this order.

    `features` (n,) are the parts of each, in [0, 1]; one that is not there is 0. `gains` (n,) are
    how much each was worth to the user, 0 where it was not chosen; `missed` the gains of what was
    chosen and is none of the candidates. `positions` (n,) are where each was shown, from 0 on; None
    where the user did not choose from a list that was shown.
    """

    user: int
    features: Mapping[RankPart, Doubles]
    gains: Doubles
    missed: Sequence[float] = ()
    positions: Integers | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Many of them, as columns: n candidates of g groups, one group after the other.

    `features` (n, p) has a column for each of `parts`. `starts` (g + 1,) are the rows at which
    groups begin, and n. `positions` (n,) are `NO_POSITION` where there was no list. `users` (g,)
    number the users, `missed` has what each group's user chose beside the candidates.
    """

    parts: tuple[RankPart, ...]
    features: NDArray[np.float32]
    gains: Doubles
    positions: Integers
    starts: Integers
    users: Integers
    missed: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def groups(self) -> Integers:
        """The group of each candidate (n,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def chosen(self) -> int:
        """How many of the candidates were chosen."""
        return int((self.gains > 0).sum())

    @classmethod
    def of(cls, choices: Iterable[Choice], parts: Sequence[RankPart]) -> "Choices":
        """These, with the columns `parts`. Groups without a choice are left out."""
        columns = _Columns(tuple(parts))
        for choice in choices:
            columns.add(choice)
        return columns.joined()

    def first_by(self, weights: RankWeights, count: int) -> "Choices":
        """Of each group the first candidates by these weights; lists that were shown are whole."""
        used = np.array([weights.of(part) for part in self.parts])
        scores = self.features.astype(np.float64) @ used
        kept: list[Integers] = [np.zeros(0, np.int64)]
        missed: list[tuple[float, ...]] = []
        for (start, end), before in zip(pairwise(self.starts.tolist()), self.missed, strict=True):
            rows = np.arange(start, end)
            if end - start > count and not (self.positions[rows] != NO_POSITION).any():
                rows = start + np.sort(np.argsort(-scores[rows], kind="stable")[:count])
            kept.append(rows)
            left_out = np.delete(self.gains[start:end], rows - start)
            missed.append((*before, *left_out[left_out > 0].tolist()))
        rows = np.concatenate(kept)
        return Choices(
            self.parts,
            self.features[rows],
            self.gains[rows],
            self.positions[rows],
            np.cumsum([len(one) for one in kept]),
            self.users,
            tuple(missed),
        )


@dataclass(slots=True)
class _Columns:
    """Columns that grow by a group at a time."""

    parts: tuple[RankPart, ...]
    features: list[NDArray[np.float32]] = field(default_factory=list)
    gains: list[Doubles] = field(default_factory=list)
    positions: list[Integers] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    missed: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, choice: Choice) -> None:
        if not (choice.gains > 0).any() and not choice.missed:
            return
        count = len(choice.gains)
        features = np.zeros((count, len(self.parts)), np.float32)
        for column, part in enumerate(self.parts):
            if part in choice.features:
                features[:, column] = choice.features[part]
        self.features.append(features)
        self.gains.append(np.asarray(choice.gains, np.float64))
        shown = choice.positions
        self.positions.append(
            np.full(count, NO_POSITION) if shown is None else shown.astype(np.int64)
        )
        self.users.append(choice.user)
        self.missed.append(tuple(choice.missed))

    def joined(self) -> Choices:
        sizes = [len(one) for one in self.gains]
        return Choices(
            parts=self.parts,
            features=np.concatenate([np.zeros((0, len(self.parts)), np.float32), *self.features]),
            gains=np.concatenate([np.zeros(0), *self.gains]),
            positions=np.concatenate([np.zeros(0, np.int64), *self.positions]),
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            users=np.array(self.users, np.int64),
            missed=tuple(self.missed),
        )


def discounted(gains: Doubles) -> float:
    """The discounted cumulative gain of the first `TOP` of an order."""
    top = gains[:TOP]
    return float((top / np.log2(np.arange(2, len(top) + 2))).sum())
