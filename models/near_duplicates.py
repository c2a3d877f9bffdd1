"""Near duplicates: copies of one photo, and different photos of the same item.

Copies are detected by a perceptual hash, other photos of the same item by their embeddings, which
have to be nearer than those of lookalikes. The thresholds are derived in
docs/decisions/0017-near-duplicates.md.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.domain.types import Relation

HASH_BITS: Final = 64
COPY_DISTANCE: Final = 8
"""The maximum Hamming distance between the hashes of a photo and its copy."""
COPY_SIMILARITY: Final = 0.8
"""The minimum cosine of a photo and its copy: hashes of different photos may be near by chance."""
ITEM_SIMILARITY: Final = 0.9
"""The minimum cosine of two photos of one item."""
LOOKALIKES: Final = 5
"""The number of nearest listings that estimate the local density around a photo."""
ITEM_RATIO: Final = 0.3
"""The maximum distance of a photo of the same item, as a share of that of the last lookalike."""

_SIDE: Final = 16
_BAND: Final = slice(6, 14)
_ALL_BITS: Final = 2**HASH_BITS - 1
# Mirroring a photo flips the sign of the horizontal frequencies with an odd number of half periods.
_MIRRORED: Final = 0x5555_5555_5555_5555

# A block fits in a core's cache.
_BLOCK_ROWS: Final = 64
_BLOCK_COLUMNS: Final = 8_192

Hashes = NDArray[np.int64]
Positions = NDArray[np.intp]


def perceptual_hash(photo: Image.Image) -> int:
    """A hash of 64 bits, as a signed integer, that is nearly the same for copies of a photo.

    The signs of medium frequencies: those of 6 to 13 half periods across the photo, in both
    directions. The lowest ones, of the usual pHash, mostly show that an object is centred.
    """
    bits = imagehash.phash(photo, hash_size=_SIDE).hash[_BAND, _BAND]
    return int.from_bytes(np.packbits(bits).tobytes(), signed=True)


def hash_distance(one: int, other: int) -> int:
    """The Hamming distance of two 64-bit hashes, or of one and the other's mirror image if less."""
    differing = one ^ other
    mirrored = differing ^ _MIRRORED
    return min((differing & _ALL_BITS).bit_count(), (mirrored & _ALL_BITS).bit_count())


def is_copy(similarity: float, distance: int) -> bool:
    """Whether two photos of this cosine and hash distance are the same photo."""
    return distance <= COPY_DISTANCE and similarity >= COPY_SIMILARITY


def item_similarity(similarities: Sequence[float]) -> float:
    """The minimum cosine at which a photo's neighbours show the same item.

    `similarities` are those of the nearest other listings that have no copy of the photo, one each
    and nearest first. With fewer than `LOOKALIKES` no decision is possible, and the cosine is
    infinite.

    This is the ratio test of Lowe (2004, section 7.1): what is as near as many others are is a
    lookalike, however near that is.
    """
    if len(similarities) < LOOKALIKES:
        return np.inf
    return max(ITEM_SIMILARITY, 1 - ITEM_RATIO * (1 - similarities[LOOKALIKES - 1]))


def relations(similarities: Sequence[float], distances: Sequence[int]) -> list[Relation | None]:
    """The relation of each neighbour, one a listing, nearest first; None is a lookalike."""
    pairs = list(zip(similarities, distances, strict=True))
    enough = item_similarity([near for near, distance in pairs if not is_copy(near, distance)])
    return [
        Relation.SAME_PHOTO
        if is_copy(near, distance)
        else Relation.SAME_ITEM
        if near >= enough
        else None
        for near, distance in pairs
    ]


def close_pairs(
    hashes: Hashes, on_progress: Callable[[int, int], None]
) -> Iterator[tuple[Positions, Positions]]:
    """The positions of every two hashes (n,) at most `COPY_DISTANCE` apart, the lower ones first.

    They come some at a time, in order of the lower position. `on_progress` gets how many hashes
    have been compared with all others, and how many there are.
    """
    halves = _unmirrored_half(hashes)
    for start in range(0, len(hashes), _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, len(hashes))
        found = [
            _close(hashes, halves, slice(start, end), slice(column, column + _BLOCK_COLUMNS))
            for column in range(start, len(hashes), _BLOCK_COLUMNS)
        ]
        lower, upper = (np.concatenate(side) for side in zip(*found, strict=True))
        if len(lower):
            order = np.lexsort((upper, lower))
            yield lower[order], upper[order]
        on_progress(end, len(hashes))


def _unmirrored_half(hashes: Hashes) -> NDArray[np.uint32]:
    """The 32 bits of each hash that mirroring does not change."""
    kept = hashes.view(np.uint8).reshape(-1, 8) & ~np.uint8(_MIRRORED & 0xFF)
    halves: NDArray[np.uint32] = (kept[:, ::2] | kept[:, 1::2] >> 1).view(np.uint32)
    return halves[:, 0]


def _close(
    hashes: Hashes, halves: NDArray[np.uint32], rows: slice, columns: slice
) -> tuple[Positions, Positions]:
    # Hashes are no closer than their halves: these rule nearly all pairs out, mirrored or not.
    differing = np.bitwise_count(halves[rows, np.newaxis] ^ halves[columns])
    lower, upper = np.nonzero(differing <= COPY_DISTANCE)
    lower, upper = lower + rows.start, upper + columns.start
    close = (lower < upper) & (_distances(hashes[lower], hashes[upper]) <= COPY_DISTANCE)
    return lower[close], upper[close]


def _distances(ones: Hashes, others: Hashes) -> NDArray[np.uint8]:
    """`hash_distance` of each to each (n,)."""
    differing = (ones ^ others).view(np.uint64)
    mirrored = differing ^ np.uint64(_MIRRORED)
    smaller: NDArray[np.uint8] = np.minimum(np.bitwise_count(differing), np.bitwise_count(mirrored))
    return smaller
