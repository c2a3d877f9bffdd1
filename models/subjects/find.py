"""Finds the subject of a photo in a network's last feature map. Pure: no network runs here.

A cell belongs to the subject if the network sees something in it that it does not see along the
photo's border, where the background is. Decision 0038 compares the alternatives.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.connected_components import DisjointSets
from models.domain.regions import Region
from models.encoders.encoder import FeatureMap

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

GRID: Final = 32
"""Salience is interpolated to so many cells a side, so that boxes end between those of the map."""
MOST_SUBJECTS: Final = 3
LEAST_OF_FIRST: Final = 0.15
"""The least salience of a further subject, as a share of the first one's."""
ALL: Final = Region(0, 0, 1, 1)
FLAT: Final = 1e-5
"""Differences in salience under this share of the activations are rounding."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that a photo shows: its box, and its `share` of what stands out, in (0, 1]."""

    region: Region
    share: float


@dataclass(frozen=True, slots=True)
class Subjects:
    """What a photo shows, at most three things, the most salient first; none where all is alike.

    `extent` is the box around all that stands out at least half as much as a subject has to.
    `contrast` is the mean salience of what stands out, as a multiple of the mean activation: how
    clear it is that there is a subject at all.
    """

    found: tuple[Subject, ...]
    extent: Region
    contrast: float


def find_subjects(features: FeatureMap) -> Subjects:
    """The subjects of a photo. A map times a number, in all cells, has the same ones."""
    activations = np.sqrt(_energy(features.cells))
    fine = _interpolated(salience(features.cells), features)
    if np.ptp(fine) <= FLAT * activations.max():
        return Subjects((), ALL, 0.0)
    threshold = otsu_threshold(fine)
    is_subject = fine >= threshold
    least = fine.min()
    return Subjects(
        found=_boxes(fine - least, is_subject),
        extent=_bounds(fine >= (threshold + least) / 2),
        contrast=float(fine[is_subject].mean() / activations.mean()),
    )


def _boxes(fine: Floats, is_subject: Mask) -> tuple[Subject, ...]:
    total = fine[is_subject].sum()
    parts = sorted(_components(is_subject), key=lambda part: -fine[part].sum())
    least = LEAST_OF_FIRST * fine[parts[0]].sum()
    return tuple(
        Subject(_bounds(part), float(fine[part].sum() / total))
        for part in parts[:MOST_SUBJECTS]
        if fine[part].sum() >= least
    )


def salience(cells: NDArray[np.float32]) -> Floats:
    """How much each cell of a map (rows, columns, channels) stands out: (rows, columns).

    The length of its activations, times how little their direction is that of the border's.
    """
    lengths = np.sqrt(_energy(cells))
    directions = cells / np.maximum(lengths, np.finfo(np.float32).tiny)[..., None]
    border = np.concatenate(
        [directions[0], directions[-1], directions[1:-1, 0], directions[1:-1, -1]]
    ).sum(axis=0)
    length = np.linalg.norm(border)
    if length == 0:
        return lengths
    unlikeness: Floats = 1 - directions @ (border / length)
    return unlikeness * lengths


def otsu_threshold(values: Floats) -> float:
    """The value that parts all others into two classes of the least variance within.

    Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979, without the histogram.
    Those of the upper class are not under it. Not all values may be equal.
    """
    ascending = np.sort(values, axis=None)
    # Where two equal values would be parted, there is no threshold.
    ends = np.flatnonzero(np.diff(ascending)) + 1
    sums = np.cumsum(ascending)
    lower, upper = sums[ends - 1] / ends, (sums[-1] - sums[ends - 1]) / (len(ascending) - ends)
    between = ends * (len(ascending) - ends) * (upper - lower) ** 2
    return float(ascending[ends[np.argmax(between)]])


def _energy(cells: NDArray[np.float32]) -> Floats:
    energy: Floats = np.square(cells, dtype=np.float64).sum(axis=-1)
    return energy


def _interpolated(coarse: Floats, features: FeatureMap) -> Floats:
    """The values of a map (rows, columns) at GRID x GRID places all over the photo."""
    rows, columns = (_weights(count, features) for count in coarse.shape)
    return rows @ coarse @ columns.T


def _weights(count: int, features: FeatureMap) -> Floats:
    """Weights (GRID, count) of the cells of one side at each place: linear between centres."""
    places = (np.arange(GRID) + 0.5) / GRID
    position = ((places - features.first) / features.pitch).clip(0, count - 1)
    distance = np.abs(position[:, None] - np.arange(count))
    weights: Floats = np.maximum(0, 1 - distance)
    return weights


def _components(mask: Mask) -> list[Mask]:
    """The parts of a mask whose cells touch by their sides."""
    rows, columns = mask.shape
    numbers = np.arange(mask.size).reshape(mask.shape)
    sets = DisjointSets(mask.size)
    for one, other, joined in (
        (numbers[:, :-1], numbers[:, 1:], mask[:, :-1] & mask[:, 1:]),
        (numbers[:-1], numbers[1:], mask[:-1] & mask[1:]),
    ):
        for left, right in zip(one[joined].tolist(), other[joined].tolist(), strict=True):
            sets.merge(left, right)
    roots = sets.roots().reshape(rows, columns)
    return [mask & (roots == root) for root in np.unique(roots[mask])]


def _bounds(part: Mask) -> Region:
    down, across = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    return Region(
        x=float(across[0] / GRID),
        y=float(down[0] / GRID),
        w=float((across[-1] + 1 - across[0]) / GRID),
        h=float((down[-1] + 1 - down[0]) / GRID),
    )
