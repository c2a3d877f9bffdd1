"""Finds listings that show the same photo or the same item."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.catalogue.perceptual_hashes import HashedPhotos, hashed_photos, photos_by_listing
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder
from db.vectors.embeddings import count_live, live_vectors, live_vectors_of
from db.vectors.encoders import active_encoder
from models.domain.errors import Conflict
from models.domain.types import Match
from models.index.photo_index import PhotoIndex
from models.links import DisjointSets, Links
from models.near_duplicates import (
    COPY_SIMILARITY,
    ITEM_SIMILARITY,
    LOOKALIKES,
    close_pairs,
    item_similarity,
)
from workers.indexes.following import FollowingIndex
from workers.near_duplicates.clusters import Duplicates, clusters_of
from workers.near_duplicates.hashing import hash_photos

OnProgress = Callable[[str, int, int], None]
"""Called with a step, how many photos it is done for, and how many there are."""

OpenIndex = Callable[[Encoder], FollowingIndex]
"""Opens the index of an encoder's vectors."""

# 32 MB of vectors of 2,048 numbers.
PAIRS_PER_BATCH: Final = 2_048
# The most neighbours that are examined: they may all be copies of one another.
MAX_NEIGHBOURS: Final = 200
EXPECTED_NEIGHBOURS: Final = 8


def find_duplicates(
    database: Database, store: PhotoStore, open_index: OpenIndex, on_progress: OnProgress
) -> Duplicates:
    """Compare all photos that listings show, by the active encoder.

    Photos that have no perceptual hash yet are given one first. Raises Conflict where no encoder is
    active, and whatever `on_progress` raises.
    """
    with database.read() as session:
        encoder = active_encoder(session)
    if encoder is None:
        raise Conflict("There is no active encoder whose vectors could be compared.")
    unreadable = hash_photos(database, store, partial(on_progress, "hashing"))
    search = _LinkSearch(database, encoder.id)
    search.link_copies(partial(on_progress, "copies"))
    with closing(open_index(encoder)) as index:
        with database.read() as session:
            index.sync(session)
        search.link_items(index.index, partial(on_progress, "items"))
        generation, exact = index.generation_id, index.index.exact
    return Duplicates(
        encoder=encoder.spec.label,
        generation=generation,
        exact=exact,
        photos=len(search.photos.ids),
        unreadable=unreadable,
        clusters=clusters_of(database, search.photos.ids, search.copies, search.items),
    )


class _LinkSearch:
    """The photos of a catalogue, and the links that were found so far.

    A photo takes some 60 bytes, however many of them are alike: pairs are not kept, and those that
    are linked already are skipped.
    """

    def __init__(self, database: Database, encoder_id: int) -> None:
        self._database = database
        self._encoder_id = encoder_id
        with database.read() as session:
            self.photos: HashedPhotos = hashed_photos(session)
            self.copies = self._by_listing(photos_by_listing(session))
        self.items = self.copies

    def link_copies(self, on_progress: Callable[[int, int], None]) -> None:
        """Link photos that are copies of one another."""
        known = np.flatnonzero(self.photos.known)
        for lower, upper in close_pairs(self.photos.hashes[known], on_progress):
            for start in range(0, len(lower), PAIRS_PER_BATCH):
                some = slice(start, start + PAIRS_PER_BATCH)
                pairs = np.stack([known[lower[some]], known[upper[some]]], axis=1)
                self._link_where_near(pairs)

    def link_items(self, index: PhotoIndex, on_progress: Callable[[int, int], None]) -> None:
        """Also link photos that show the same item; `link_copies` comes first."""
        self.items = self.copies.copy()
        roots = self.copies.sets.roots()
        with self._database.read() as session:
            total = count_live(session, self._encoder_id)
        done = 0
        for photo_ids, vectors in live_vectors(self._database.read, self._encoder_id):
            for photo_id, vector in zip(photo_ids.tolist(), vectors, strict=True):
                position = self._position(photo_id)
                if position is not None:
                    matches = index.matches(vector, expect=EXPECTED_NEIGHBOURS)
                    self._link_nearest(position, matches, roots)
                done += 1
                on_progress(done, max(done, total))

    def _by_listing(self, listings: Iterator[list[int]]) -> Links:
        sets = DisjointSets(len(self.photos.ids))
        times_shown = np.zeros(len(self.photos.ids), np.int32)
        for photo_ids in listings:
            shown = [
                position
                for photo_id in photo_ids
                if (position := self._position(photo_id)) is not None
            ]
            times_shown[shown] += 1
            for position in shown[1:]:
                sets.merge(shown[0], position)
        # A photo that several listings show links them, as copies do.
        return Links(sets, (times_shown > 1).astype(np.float32))

    def _link_where_near(self, pairs: NDArray[np.intp]) -> None:
        """Link those of the pairs (n, 2) of positions whose vectors are near."""
        unlinked = [not self.copies.joined(one, other) for one, other in pairs.tolist()]
        pairs = pairs[np.array(unlinked)]
        wanted = self.photos.ids[np.unique(pairs)].tolist()
        with self._database.read() as session:
            found, vectors = live_vectors_of(session, self._encoder_id, wanted)
        rows = {self._position(photo_id): row for row, photo_id in enumerate(found.tolist())}
        for one, other in pairs.tolist():
            if one in rows and other in rows:
                similarity = float(vectors[rows[one]] @ vectors[rows[other]])
                if similarity >= COPY_SIMILARITY:
                    self.copies.add(one, other, similarity)

    def _link_nearest(
        self, position: int, matches: Iterator[Match], roots: NDArray[np.int64]
    ) -> None:
        """Link a photo to the nearest photos that show the same item, if there are any."""
        nearest: dict[int, tuple[int, float]] = {}
        for match in islice(matches, MAX_NEIGHBOURS):
            if match.similarity < ITEM_SIMILARITY and not nearest:
                return
            other = self._position(match.photo_id)
            if other is None or roots[other] == roots[position]:
                continue
            nearest.setdefault(int(roots[other]), (other, match.similarity))
            if len(nearest) == LOOKALIKES:
                break
        enough = item_similarity([similarity for _, similarity in nearest.values()])
        for other, similarity in nearest.values():
            if similarity >= enough:
                self.items.add(position, other, similarity)

    def _position(self, photo_id: int) -> int | None:
        """The position of the photo; None if it was added after the search began."""
        position = int(np.searchsorted(self.photos.ids, photo_id))
        known = position < len(self.photos.ids) and self.photos.ids[position] == photo_id
        return position if known else None
