"""Calibrates match labels on a catalogue: asks, fits, measures on listings not fitted to.

Three searches are made for each listing that is drawn: by an altered view of one of its photos,
which the catalogue has; by the same view, and by the listing's photos, with the listing left out of
the catalogue: they are for an item that it does not have. The record on match labels in
docs/decisions has the reasons.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.adaptation.adaptation import Adaptation
from models.adaptation.trial import MIN_CATEGORIES, learn_from, learnable
from models.labels import LabelledPhotos
from models.matching.evidence import (
    NOBODY,
    Asked,
    Floats,
    Found,
    Integers,
    OnSearched,
    find,
    join,
)
from models.matching.fit import Looks, Results, fit
from models.matching.labels import VOTERS, Calibration
from models.matching.measure import labelled, measured
from models.near_duplicates import COPY_DISTANCE, hash_distance

FOLDS: Final = 3
"""An adaptation knows what it has learned from: so often it is learned without some listings."""
PARTS: Final = 5
"""Each part of the listings is measured with thresholds that were fitted to the others."""
PHOTOS_OF_LISTING: Final = 8
"""Photos at most by which a listing is searched for."""

Apply = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The photos of a catalogue, and their unit vectors (n, dimension) by the base encoder.

    A photo's category may be `unknown`. `phashes` are perceptual hashes, None where there is none.
    """

    photos: LabelledPhotos
    vectors: Floats
    phashes: Sequence[int | None]
    unknown: str


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What is asked: altered views (v, dimension) of the photos `rows` (v,), each of another
    listing, and pictures of nothing that is sold (s, dimension), as the base encoder sees them."""

    rows: Integers
    views: Floats
    strangers: Floats


def searches_of(held_out: HeldOut, adaptation: Adaptation | None) -> int:
    """How many queries a calibration searches with, for progress."""
    of_listing = 3 if adaptation is None else 4  # once more for its look
    return of_listing * len(held_out.views) + len(held_out.strangers)


def calibrate(
    catalogue: Catalogue,
    held_out: HeldOut,
    adaptation: Adaptation | None = None,
    *,
    seed: int = 0,
    on_searched: OnSearched | None = None,
) -> Calibration:
    """The calibration of the base encoder, or of what is adapted from it.

    There must be a view and a stranger for each of the `PARTS` at least.
    """
    trial = _Trial(catalogue, held_out, adaptation, seed, on_searched)
    results, looks = trial.results(), trial.looks()
    photos, listings = len(catalogue.photos), len(held_out.rows)

    def fitted(results: Results, looks: Looks) -> Calibration:
        is_look = adaptation is None
        return fit(results, looks, photos=photos, listings=listings, is_look=is_look)

    parts = []
    fold_of_stranger = np.arange(len(held_out.strangers)) % PARTS
    fold_of_listing = np.random.default_rng(seed).permutation(listings) % PARTS
    for part in range(PARTS):
        is_part, is_stranger = fold_of_listing == part, fold_of_stranger == part
        rest = fitted(results.take(~is_part[results.queries]), looks.take(~is_part, ~is_stranger))
        own = results.take(is_part[results.queries])
        parts.append(labelled(rest, own, looks.take(is_part, is_stranger)))
    return measured(fitted(results, looks), parts)


class _Trial:
    """The searches of one calibration."""

    def __init__(
        self,
        catalogue: Catalogue,
        held_out: HeldOut,
        adaptation: Adaptation | None,
        seed: int,
        on_searched: OnSearched | None,
    ) -> None:
        self._catalogue = catalogue
        self._held_out = held_out
        self._adaptation = adaptation
        self._on_searched = on_searched
        photos = catalogue.photos
        self._listings = np.unique(np.array(photos.listings), return_inverse=True)[1]
        names, self._categories = np.unique(np.array(photos.categories), return_inverse=True)
        self._categories[np.isin(self._categories, np.flatnonzero(names == catalogue.unknown))] = -1
        self._own = self._listings[held_out.rows]
        self._fold = np.random.default_rng((seed, 1)).permutation(len(held_out.rows)) % FOLDS
        rows_of: dict[int, list[int]] = {}
        for row, listing in enumerate(self._listings.tolist()):
            rows_of.setdefault(listing, []).append(row)
        self._rows = [rows_of[listing][:PHOTOS_OF_LISTING] for listing in self._own.tolist()]
        self._present, self._absent, self._of_listing = self._asked()

    def results(self) -> Results:
        """All results of all searches."""
        # Half of the searches for an item that is not there are of each kind.
        of_view = np.arange(len(self._own)) % 2 == 0
        view = [[row] for row in self._held_out.rows.tolist()]
        parts = [
            self._judged(self._present, view, np.ones(len(of_view), bool), is_present=True),
            self._judged(self._absent, view, of_view, is_present=False),
            self._judged(self._of_listing, self._rows, ~of_view, is_present=False),
        ]
        return Results.join(parts)

    def looks(self) -> Looks:
        """How much the nearest photo looks like each view, its listing left out, and stranger."""
        views, strangers = self._held_out.views, self._held_out.strangers
        nobody = np.full(len(strangers), NOBODY, np.int64)
        nearest = self._absent.similarities[:, 0].astype(np.float64)
        if self._adaptation is None:
            found = self._find(strangers, nobody, self._catalogue.vectors)
            return Looks(nearest, nearest, found.similarities[:, 0].astype(np.float64))
        return Looks(
            self._restored(self._adaptation, views, self._own),
            nearest,
            self._restored(self._adaptation, strangers, nobody),
        )

    def _restored(
        self, adaptation: Adaptation, base: Floats, without: Integers
    ) -> NDArray[np.float64]:
        """How much what is nearest to adapted vectors looks like the query, before adaptation."""
        catalogue, queries = adaptation.apply(self._catalogue.vectors), adaptation.apply(base)
        nearest = catalogue[self._find(queries, without, catalogue).photos[:, 0]]
        back = adaptation.restoration()
        looks: NDArray[np.float64] = np.einsum(
            "ij,ij->i", back.apply(queries), back.apply(nearest), dtype=np.float64
        )
        return looks

    def _find(self, queries: Floats, without: Integers, catalogue: Floats) -> Found:
        asked = Asked(list(queries[:, np.newaxis]), without)
        return find(asked, catalogue, self._listings, self._on_searched)

    def _asked(self) -> tuple[Found, Found, Found]:
        """The answers to all three kinds of queries, in the order of the views."""
        parts: list[tuple[Found, Found, Found]] = []
        order: list[Integers] = []
        for queries, apply in self._maps():
            vectors = apply(self._catalogue.vectors)
            views = list(apply(self._held_out.views[queries])[:, np.newaxis])
            own = self._own[queries]
            of_listing = [vectors[self._rows[query]] for query in queries.tolist()]
            nobody = np.full(len(queries), NOBODY, np.int64)
            asked = (Asked(views, nobody), Asked(views, own), Asked(of_listing, own))
            present, absent, listing = (
                find(one, vectors, self._listings, self._on_searched) for one in asked
            )
            parts.append((present, absent, listing))
            order.append(queries)
        back = np.argsort(np.concatenate(order))
        present, absent, listing = (join(kind).take(back) for kind in zip(*parts, strict=True))
        return present, absent, listing

    def _maps(self) -> list[tuple[Integers, Apply]]:
        """Queries, and the map that they and the catalogue are compared by.

        An adaptation has learned from the very listings that are asked about, and so finds their
        categories more often than those of new photos: it is learned again, each time without some.
        """
        everybody = np.arange(len(self._own))
        if self._adaptation is None:
            return [(everybody, lambda vectors: vectors)]
        photos, vectors = self._catalogue.photos, self._catalogue.vectors
        may_learn = learnable(photos, self._catalogue.unknown)
        maps: list[tuple[Integers, Apply]] = []
        for fold in range(FOLDS):
            queries = np.flatnonzero(self._fold == fold)
            rows = np.flatnonzero(may_learn & ~np.isin(self._listings, self._own[queries]))
            some = photos.take(rows.tolist())
            if len(set(some.categories)) < MIN_CATEGORIES:
                return [(everybody, self._adaptation.apply)]
            if len(queries):
                maps.append((queries, learn_from(some, vectors[rows]).apply))
        return maps

    def _judged(
        self,
        found: Found,
        rows: Sequence[Sequence[int]],
        asks_item: NDArray[np.bool_],
        *,
        is_present: bool,
    ) -> Results:
        """The results of one kind of search by photos `rows`; which are right."""
        queries, places = np.nonzero(found.photos >= 0)
        photos = found.photos[queries, places]
        own = self._categories[self._held_out.rows][queries]
        other = self._categories[photos]
        is_known = (own >= 0) & (other >= 0)
        is_own = found.listings[queries, places] == self._own[queries]
        is_copy = np.array(
            [
                self._is_copy(rows[query], photo)
                for query, photo in zip(queries.tolist(), photos.tolist(), strict=True)
            ],
            bool,
        )
        return Results(
            similarities=found.similarities[queries, places].astype(np.float64),
            references=found.reference[queries].astype(np.float64),
            agreements=self._agreements(found.voters[queries], other),
            same_item=is_own | is_copy,
            same_category=own == other,
            asks_item=asks_item[queries],
            asks_category=is_known & (not is_present),
            queries=queries,
        )

    def _agreements(self, voters: Integers, categories: Integers) -> NDArray[np.float64]:
        """The shares of photos (n, 20) of these categories (n,), NaN of fewer."""
        is_photo = voters >= 0
        counts = is_photo.sum(axis=1)
        agree = is_photo & (self._categories[voters] == categories[:, np.newaxis])
        shares: NDArray[np.float64] = agree.sum(axis=1) / np.maximum(counts, 1)
        shares[(counts < VOTERS) | (categories < 0)] = np.nan
        return shares

    def _is_copy(self, rows: Sequence[int], photo: int) -> bool:
        """Whether a photo is a copy of one of these: another listing may show the same."""
        theirs = self._catalogue.phashes[photo]
        return theirs is not None and any(
            ours is not None and hash_distance(ours, theirs) <= COPY_DISTANCE
            for ours in (self._catalogue.phashes[row] for row in rows)
        )
