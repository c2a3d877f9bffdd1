"""The split of photos into training, validation and test parts.

Photos of one listing, of one seller, and of listings that share a photo are always in the
same part: otherwise the test would leak training photos.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.durable_files import write_json
from models.domain.errors import Conflict, InvalidInput
from models.labels import LabelledPhotos

HELD_OUT_SHARE: Final = 0.15
"""Of each category's listings, for validation, and as many for the test."""

MIN_GROUPS: Final = 5
"""A category with fewer independent groups of listings is left out: too little to measure."""


class Part(StrEnum):
    """A part of the data set."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Split:
    """The listings of each part.

    `digest` is that of the photos it was made of, `categories` are those with enough listings, in
    order of their paths, and `left_out` counts the listings of each of the others.
    """

    seed: int
    digest: str
    categories: tuple[str, ...]
    left_out: Mapping[str, int]
    listings: Mapping[Part, frozenset[str]]

    def rows(self, photos: LabelledPhotos, part: Part) -> list[int]:
        """The rows of one part, in an order that does not depend on that of the photos."""
        chosen = self.listings[part]
        rows = [row for row, listing in enumerate(photos.listings) if listing in chosen]
        return sorted(rows, key=lambda row: (photos.listings[row], photos.hashes[row]))

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        write_json(
            path,
            {
                "seed": self.seed,
                "digest": self.digest,
                "categories": self.categories,
                "left_out": dict(self.left_out),
                **{part.value: sorted(ids) for part, ids in self.listings.items()},
            },
        )


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The photos of one part, with the numbers of their categories, (photos,)."""

    photos: LabelledPhotos
    targets: NDArray[np.int64]


def examples(photos: LabelledPhotos, split: Split) -> dict[Part, Examples]:
    """The photos by what they are used for; categories are numbered in the order of the split's."""
    number = {path: index for index, path in enumerate(split.categories)}
    parts = {}
    for part in Part:
        chosen = photos.take(split.rows(photos, part))
        targets = np.array([number[path] for path in chosen.categories], np.int64)
        parts[part] = Examples(chosen, targets)
    return parts


def split_photos(photos: LabelledPhotos, seed: int) -> Split:
    """Split listings 70 : 15 : 15 within each category.

    The split depends on the photos and the seed, not on their order. A group of listings counts for
    the category of most of its photos. Raises InvalidInput if there are fewer than two categories.
    """
    by_category: dict[str, list[list[int]]] = defaultdict(list)
    for group in _independent_groups(photos):
        by_category[_majority_category(photos, group)].append(group)
    kept = {path for path, groups in by_category.items() if len(groups) >= MIN_GROUPS}
    if len(kept) < 2:  # noqa: PLR2004 - one of one is no choice
        raise InvalidInput(
            f"There is nothing to tell apart: {len(photos):,} photos, and {len(kept)} categories "
            f"that at least {MIN_GROUPS} independent listings are of."
        )
    listings: dict[Part, set[str]] = {part: set() for part in Part}
    for path in kept:
        for part, groups in _shares(photos, by_category[path], seed).items():
            rows = (row for group in groups for row in group if photos.categories[row] in kept)
            listings[part].update(photos.listings[row] for row in rows)
    return Split(
        seed,
        photos.digest,
        tuple(sorted(kept)),
        _listings_of_others(photos, kept),
        {part: frozenset(ids) for part, ids in listings.items()},
    )


def load_split(path: Path, photos: LabelledPhotos) -> Split:
    """Read the split of these photos.

    Raises `Conflict` if it was made of others, and `InvalidInput` if the file is not a split.
    """
    try:
        values = json.loads(path.read_bytes())
        split = Split(
            int(values["seed"]),
            str(values["digest"]),
            tuple(values["categories"]),
            dict(values["left_out"]),
            {part: frozenset(values[part]) for part in Part},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} is not a split of listings.") from error
    if split.digest != photos.digest:
        raise Conflict(
            f"The photos or their categories have changed since {path} was written: "
            "start again in another folder."
        )
    return split


def _independent_groups(photos: LabelledPhotos) -> list[list[int]]:
    """Rows that share a listing, a photo's bytes or a seller, directly or through others."""
    sellers = photos.sellers or (None,) * len(photos)
    parents = list(range(len(photos)))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = row = parents[parents[row]]
        return row

    first: dict[tuple[str, str], int] = {}
    for row, keys in enumerate(zip(photos.listings, photos.hashes, sellers, strict=True)):
        for kind, key in zip(("listing", "photo", "seller"), keys, strict=True):
            if key is not None:
                parents[root(row)] = root(first.setdefault((kind, key), row))
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(len(photos)):
        groups[root(row)].append(row)
    return list(groups.values())


def _majority_category(photos: LabelledPhotos, group: Sequence[int]) -> str:
    counts = Counter(photos.categories[row] for row in group)
    return min(counts, key=lambda path: (-counts[path], path))


def _shares(
    photos: LabelledPhotos, groups: Sequence[list[int]], seed: int
) -> dict[Part, Sequence[list[int]]]:
    def rank(group: Sequence[int]) -> bytes:
        # A hash, not a random draw: a new listing does not change the part of the others.
        name = min(photos.listings[row] for row in group)
        return sha256(f"{seed} {name}".encode()).digest()

    drawn = sorted(groups, key=rank)
    held = max(1, round(len(drawn) * HELD_OUT_SHARE))
    return {
        Part.TEST: drawn[:held],
        Part.VALIDATION: drawn[held : 2 * held],
        Part.TRAIN: drawn[2 * held :],
    }


def _listings_of_others(photos: LabelledPhotos, kept: set[str]) -> dict[str, int]:
    listings = dict(zip(photos.listings, photos.categories, strict=True))
    return dict(sorted(Counter(path for path in listings.values() if path not in kept).items()))
