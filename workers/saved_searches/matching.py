"""Matches listings with the saved searches, as they become findable and as they change.

By look, a listing is found once one of its photos is embedded; by words alone, as soon as it has
changed.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.filters import passing_each
from db.catalogue.listing_photos import listings_with, photo_ids_shown
from db.catalogue.touched import touch_listings
from db.retention.removed import ChangesMissed
from db.saved_searches.matches import Candidate, NewMatch, add_matches, candidates
from db.saved_searches.progress import (
    advance,
    lock_for_matching,
    next_listing_changes,
    note_encoder,
)
from db.saved_searches.vectors import SavedChanges, SavedVectors, all_saved, saved_changes_after
from db.tables import Encoder
from db.text.search import texts_of
from db.vectors.embeddings import live_vectors_of
from db.vectors.encoders import active_encoder
from models.domain.errors import InvalidInput
from models.domain.filters import ListingFilter
from models.matching.labels import stored_calibration
from models.saved_queries import SavedQueries, Similar
from models.saved_words import ReadListing, SavedWords
from models.text.languages import TextLanguage

log = logging.getLogger(__name__)

VERY_SIMILAR: Final = 0.8
"""The least cosine of a match, where a saved search states none and nothing is measured of its
encoder."""

ANY_ACTIVE: Final = ListingFilter()


def least_similarity(encoder: Encoder) -> float:
    """The least cosine of a match, where a saved search states none."""
    calibration = stored_calibration(encoder.matching)
    if calibration is None or calibration.very_similar_alone is None:
        return VERY_SIMILAR
    return calibration.very_similar_alone


class SavedSearchMatcher:
    """Matches listings with the saved searches that the active encoder has embedded.

    Keeps their vectors and words in memory, and reads only what has changed of them. Reads nothing
    before it is used; one thread uses it. `language` is that of inflections.
    """

    def __init__(self, clock: Callable[[], datetime], language: TextLanguage) -> None:
        self._clock = clock
        self._language = language
        self._followed: _Followed | None = None

    def match_embedded(self, session: Session, photo_ids: Mapping[int, Collection[int]]) -> None:
        """Match the listings that show photos which were embedded in this transaction.

        `photo_ids` are those photos, by the id of the encoder. Those of another than the active
        encoder make no listing findable.
        """
        encoder = active_encoder(session)
        new = photo_ids.get(encoder.id) if encoder else None
        if encoder is None or not new:
            return
        followed = self._follow(session, encoder)
        if not followed.knows_any:
            return
        listings = listings_with(session, new)
        followed.match(session, dict.fromkeys(listings), self._clock())
        if followed.unembedded:
            # They will be matched as what changes from now on.
            touch_listings(session, listings)

    def match_changed(self, session: Session, limit: int) -> int:
        """Match the listings of the next changes; how many changes they may be, 0 if none are left.

        Also 0 where another process is at it.
        """
        encoder = active_encoder(session)
        if encoder is None:
            return 0
        followed = self._follow(session, encoder)
        changes = next_listing_changes(session, limit)
        if changes is None:
            return 0
        if followed.knows_any:
            followed.match(session, changes.listings, self._clock())
        advance(session, changes.last)
        # At least 1: of what was erased no listing is left.
        return max(1, len(changes.listings))

    def _follow(self, session: Session, encoder: Encoder) -> "_Followed":
        """The saved searches as they are now, and stay until the transaction ends."""
        lock_for_matching(session)
        followed = self._followed
        if followed is None or followed.encoder_id != encoder.id:
            followed = self._read_all(session, encoder)
        else:
            try:
                followed.apply(saved_changes_after(session, encoder.id, followed.last))
            except ChangesMissed:
                followed = self._read_all(session, encoder)
            followed.default = least_similarity(encoder)
        # Each time: an earlier transaction may have been rolled back.
        note_encoder(session, encoder.id)
        return followed

    def _read_all(self, session: Session, encoder: Encoder) -> "_Followed":
        everything = all_saved(session, encoder.id)
        self._followed = _Followed(encoder, everything, SavedWords(self._language))
        return self._followed


class _Followed:
    """The saved searches in memory, as one encoder sees them."""

    def __init__(self, encoder: Encoder, everything: SavedChanges, words: SavedWords) -> None:
        self.encoder_id = encoder.id
        self.last = 0
        self.unembedded: set[int] = set()
        self._queries = SavedQueries(encoder.dimension)
        self._words = words
        self.default = least_similarity(encoder)
        self.apply(everything)

    @property
    def knows_any(self) -> bool:
        """Whether there are saved searches."""
        return bool(self.unembedded) or len(self._queries) > 0

    def apply(self, changes: SavedChanges) -> None:
        """Take over what has changed."""
        for number, saved in changes.searches.items():
            self.unembedded.discard(number)
            if saved is None:
                self._queries.remove(number)
                self._words.remove(number)
            elif saved.vectors is None:
                self.unembedded.add(number)
            else:
                self._put(number, saved, saved.vectors)
        self.last = changes.last

    def _put(self, number: int, saved: SavedVectors, vectors: NDArray[np.float32]) -> None:
        if saved.text is not None:
            try:
                self._words.put(number, saved.text, alone=saved.by_words_alone)
            except InvalidInput as error:
                # Saved by a release that took it: it must not keep the others from matching.
                log.warning("saved search %s matches nothing: %s", number, error)
                return
        self._queries.put(number, vectors, saved.min_similarity)

    def match(self, session: Session, changed: Mapping[UUID, int | None], now: datetime) -> None:
        """Store the matches of these listings: their current photos, prices, places and so on.

        `changed` are the numbers of their changes, which are not for searches that were saved
        after; None for what has become findable only now.
        """
        photos_of = photo_ids_shown(session, changed)
        looks = self._by_look(session, photos_of)
        # What has become findable by its look was found by words before.
        listed = [id_ for id_, change in changed.items() if change is not None]
        found = [*self._having_words(session, looks), *self._by_words(session, listed, photos_of)]
        known = candidates(session, {match.saved_search for match in found})
        wanted = [
            match._replace(has_webhook=known[match.saved_search].has_webhook)
            for match in found
            if match.saved_search in known
            and _may_find(known[match.saved_search], match, changed[match.listing_id])
        ]
        passing = _passing(session, wanted, known)
        matches = [match for match in wanted if match.listing_id in passing[match.saved_search]]
        add_matches(session, matches, now)
        if matches:
            log.info("%s listings match saved searches", len({one.listing_id for one in matches}))

    def _by_look(self, session: Session, photos_of: Mapping[UUID, Sequence[int]]) -> list[NewMatch]:
        """What looks like saved searches, by the best photo of each listing."""
        photo_ids = sorted({photo_id for shown in photos_of.values() for photo_id in shown})
        ids, vectors = live_vectors_of(session, self.encoder_id, photo_ids)
        if not len(ids):
            return []
        similar = self._queries.similar(vectors, self.default)
        return list(_best_photos(similar, ids.tolist(), photos_of))

    def _having_words(self, session: Session, looks: Sequence[NewMatch]) -> list[NewMatch]:
        """Those whose listings have the words of the saved search, too, if it has any."""
        listings = {match.listing_id for match in looks if match.saved_search in self._words}
        read = self._read(session, listings)
        return [
            match
            for match in looks
            if match.saved_search not in self._words
            or (
                match.listing_id in read
                and self._words.is_match(match.saved_search, read[match.listing_id])
            )
        ]

    def _by_words(
        self,
        session: Session,
        listing_ids: Collection[UUID],
        photos_of: Mapping[UUID, Sequence[int]],
    ) -> list[NewMatch]:
        """What has the words of saved searches for words alone, by the first photo, if any."""
        if not self._words.any_alone:
            return []
        return [
            NewMatch(
                number,
                listing_id,
                next(iter(photos_of.get(listing_id, ())), None),
                None,
                has_webhook=False,
            )
            for listing_id, listing in self._read(session, listing_ids).items()
            for number in self._words.found_alone(listing)
        ]

    def _read(self, session: Session, listing_ids: Collection[UUID]) -> dict[UUID, ReadListing]:
        """The words of those of the listings that are not deleted."""
        texts = texts_of(session, listing_ids) if listing_ids else {}
        return {listing_id: self._words.read(words) for listing_id, words in texts.items()}


def _best_photos(
    similar: Similar, photo_ids: Sequence[int], photos_of: Mapping[UUID, Sequence[int]]
) -> Iterator[NewMatch]:
    """Each listing by the photo that is most similar to the saved search, for each of these."""
    listings: dict[int, list[UUID]] = {}
    for listing_id, shown in photos_of.items():
        for photo_id in shown:
            listings.setdefault(photo_id, []).append(listing_id)
    best: dict[tuple[int, UUID], tuple[float, int]] = {}
    pairs = zip(
        similar.numbers.tolist(),
        similar.photos.tolist(),
        similar.similarities.tolist(),
        strict=True,
    )
    for number, row, similarity in pairs:
        photo_id = photo_ids[row]
        for listing_id in listings[photo_id]:
            key = number, listing_id
            if key not in best or best[key][0] < similarity:
                best[key] = similarity, photo_id
    for (number, listing_id), (similarity, photo_id) in best.items():
        yield NewMatch(number, listing_id, photo_id, similarity, has_webhook=False)


def _may_find(candidate: Candidate, match: NewMatch, change: int | None) -> bool:
    """Whether the listing has changed since the search was saved, and is none that it names."""
    payload = candidate.payload
    is_named = match.listing_id in payload.positive or match.listing_id in payload.negative
    return not is_named and (change is None or change > candidate.after)


def _passing(
    session: Session, matches: Iterable[NewMatch], known: Mapping[int, Candidate]
) -> dict[int, set[UUID]]:
    """The listings that pass the filter of each saved search, among those that match any."""
    filters = {
        match.saved_search: known[match.saved_search].payload.filter or ANY_ACTIVE
        for match in matches
    }
    # By their text: to Python, an attribute that is to be 1 is one that is to be true.
    distinct = {repr(wanted): wanted for wanted in filters.values()}
    listing_ids = {match.listing_id for match in matches}
    passed = passing_each(session, list(distinct.values()), listing_ids)
    passing = dict(zip(distinct, passed, strict=True))
    return {number: passing[repr(wanted)] for number, wanted in filters.items()}
