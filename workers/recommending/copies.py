"""The copies of a listing: those that show the same photo, or one that is compared as equal."""

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.filters import listings_showing
from db.catalogue.listing_photos import photo_ids_shown
from db.catalogue.perceptual_hashes import phashes_of_photos
from models.domain.types import Match
from models.index.photo_index import PhotoIndex
from models.near_duplicates import COPY_SIMILARITY, HASH_BITS, hash_distance, is_copy

LOOKED_AT: Final = 100
"""The nearest photos of each photo, among which copies are looked for."""
PHOTOS: Final = 8
"""The first photos of a listing, of which copies are looked for."""
SAME: Final = 1 - 1e-4
"""The cosine from which on two photos are the same to whoever compares them, but for rounding."""


def copies_of(session: Session, index: PhotoIndex, listing_id: UUID) -> set[UUID]:
    """The active listings that show a copy of one of the listing's photos, without itself.

    Copies are told as those of the whole catalogue are (docs/decisions/0017-near-duplicates.md).
    """
    own = photo_ids_shown(session, [listing_id]).get(listing_id, [])[:PHOTOS]
    ids, vectors = index.vectors_of(np.array(sorted(own), np.int64))
    near = {
        int(photo_id): _near(index, vector) for photo_id, vector in zip(ids, vectors, strict=True)
    }
    photos = set(own).union(match.photo_id for matches in near.values() for match in matches)
    hashes = phashes_of_photos(session, photos)

    def copied(photo_id: int, matches: Sequence[Match]) -> Iterator[int]:
        for match in matches:
            one, other = hashes.get(photo_id), hashes.get(match.photo_id)
            distance = HASH_BITS if one is None or other is None else hash_distance(one, other)
            if match.similarity >= SAME or is_copy(match.similarity, distance):
                yield match.photo_id

    same = set(own).union(*(copied(photo_id, matches) for photo_id, matches in near.items()))
    showing = listings_showing(session, same)
    return {one for listings in showing.values() for one in listings} - {listing_id}


def _near(index: PhotoIndex, vector: NDArray[np.float32]) -> list[Match]:
    matches = islice(index.matches(vector, expect=LOOKED_AT), LOOKED_AT)
    return list(takewhile(lambda match: match.similarity >= COPY_SIMILARITY, matches))
