"""Blocks: the candidates of a ranked search, from all of its sources.

A block has the next `BLOCK` listings of each source. Its ends are keys, set when it is begun: who
comes in later within them belongs to it, and whoever is deleted is missing, but nobody moves to
another block. What was in an earlier block is told by its own keys, without a list of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_ids_shown
from models.columns.columns import Columns
from models.columns.passing import Passing
from models.domain.filters import ListingFilter
from models.domain.searches.block_cursors import Block, Key, Span, TextMatch
from models.domain.types import ListingMatch
from models.index.photo_index import PhotoIndex
from workers.search.retrieval import (
    ANY_ACTIVE,
    Page,
    Queries,
    Retrieved,
    Thresholds,
    retrieve,
    retrieve_among,
    similarities,
    with_current_similarity,
)

BLOCK: Final = 200
"""Listings of each source in a block; how many a ranking needs is measured in
docs/decisions/0032-ranking.md."""

# Photos of a block: a listing has few.
EXPECTED_PER_LISTING: Final = 2
# How many photos are filtered for a listing before the index is told which pass, see `Thresholds`.
FILTERED_PER_LISTING: Final = 10

Item = TypeVar("Item")


class Words(Protocol):
    """The listings that have the words of a search and pass its filter, best first."""

    @property
    def best(self) -> Mapping[UUID, TextMatch]:
        """The best of them, in order of their places, as many as are looked at."""
        ...

    @property
    def exact(self) -> bool:
        """Whether no better one was missed."""
        ...

    def of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, float]:
        """The scores of those of these listings that have any of the words."""
        ...

    def excluded(self, listing_ids: Collection[UUID]) -> Collection[UUID]:
        """Those of these listings that have what was to be left out."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What listings are to look like: unit vectors, and the index to look in."""

    index: PhotoIndex
    queries: Queries


@dataclass(frozen=True, slots=True)
class Asked:
    """What candidates are asked for: by look, by words, or by both.

    `passing` are the listings that pass the filter, where columns have said which; `columns`, if
    there are some, are in step with `session`.
    """

    session: Session
    look: Look | None = None
    words: Words | None = None
    wanted: ListingFilter = ANY_ACTIVE
    passing: Passing | None = None
    excluded: Collection[UUID] = ()
    min_similarity: float | None = None
    size: int = BLOCK
    columns: Columns | None = None


class Candidate(NamedTuple):
    """A listing of a block: how it looks, and how it answers the words, where that is known."""

    listing_id: UUID
    look: ListingMatch | None
    text: float | None


class Candidates(NamedTuple):
    """The candidates of a block, which has ends now; `exact` says that no nearer one is missed."""

    block: Block
    listings: list[Candidate]
    exact: bool


def candidates_of(asked: Asked, block: Block) -> Candidates:
    """The candidates of a block, in no order; none that earlier blocks had.

    Raises InvalidInput where a block is too deep, see `models.ranking.listings`.
    """
    block = _with_current_keys(asked, block)
    look, near, exact = _nearest(asked, block)
    text, hits = _best(asked, block)
    among, amid = _nearest_among(asked, block)
    begun = Block(look, among, text, begun=True)
    found = {match.listing_id: match for match in (*near, *amid)}
    unwanted = asked.words.excluded(list(found)) if asked.words else ()
    listing_ids = [one for one in dict.fromkeys((*found, *hits)) if one not in unwanted]
    scores = _scores(asked, listing_ids)
    found |= _looks(asked, [one for one in hits if one not in found])
    candidates = [Candidate(one, found.get(one), scores.get(one)) for one in listing_ids]
    kept = [one for one in candidates if _is_new(asked, begun, one)]
    return Candidates(begun, kept, exact)


def _is_new(asked: Asked, block: Block, one: Candidate) -> bool:
    """Whether a candidate was in no earlier block, and is similar enough."""
    if one.look is not None and block.look.is_before(one.look):
        return False
    least = asked.min_similarity
    if least is not None and (one.look is None or one.look.similarity < least):
        return False
    hit = asked.words.best.get(one.listing_id) if asked.words else None
    if hit is None:
        return True
    if block.text.is_before(hit):
        return False
    return one.look is None or asked.look is None or not block.among.is_before(one.look)


def _nearest(asked: Asked, block: Block) -> tuple[Span[ListingMatch], list[ListingMatch], bool]:
    if asked.look is None or block.look.done:
        return replace(block.look, done=True), [], asked.look is None or asked.look.index.exact
    size, index = asked.size, asked.look.index
    thresholds = Thresholds(overfetch=max(Thresholds().overfetch, FILTERED_PER_LISTING * size))
    page = Page(
        size,
        block.look.start,
        asked.excluded,
        asked.wanted,
        block.look.end,
        expect=EXPECTED_PER_LISTING * size,
    )
    found = retrieve(asked.session, index, asked.look.queries, page, thresholds, asked.passing)
    least = asked.min_similarity
    if least is not None and found.listings and found.listings[-1].similarity < least:
        found = replace(found, more=False)
    return _ended(block, block.look, found), found.listings, found.exact


def _best(asked: Asked, block: Block) -> tuple[Span[TextMatch], dict[UUID, TextMatch]]:
    if asked.words is None or block.text.done:
        return replace(block.text, done=True), {}
    span, best = block.text, asked.words.best
    if block.begun:
        return span, {one: hit for one, hit in best.items() if span.has(hit)}
    open_ = [(one, hit) for one, hit in best.items() if span.has(hit)]
    kept = dict(open_[: asked.size])
    end = open_[asked.size - 1][1] if len(open_) > asked.size else None
    return replace(span, end=end), kept


def _nearest_among(asked: Asked, block: Block) -> tuple[Span[ListingMatch], list[ListingMatch]]:
    look, words = asked.look, asked.words
    if look is None or words is None or block.among.done:
        return replace(block.among, done=True), []
    listing_ids = [one for one in words.best if one not in asked.excluded]
    photos = photo_ids_shown(asked.session, listing_ids)
    page = Page(
        asked.size,
        block.among.start,
        until=block.among.end,
        expect=EXPECTED_PER_LISTING * asked.size,
    )
    found = retrieve_among(look.index, look.queries, page, photos)
    return _ended(block, block.among, found), found.listings


def _ended(block: Block, span: Span[ListingMatch], found: Retrieved) -> Span[ListingMatch]:
    """The span with its end, where the block has none yet."""
    if block.begun:
        return span
    return replace(span, end=found.listings[-1] if found.more else None)


def _scores(asked: Asked, listing_ids: Sequence[UUID]) -> dict[UUID, float]:
    """How well each of the candidates has the words; of those that have some."""
    if asked.words is None:
        return {}
    best = asked.words.best
    others = [one for one in listing_ids if one not in best]
    scores = {one: best[one].score for one in listing_ids if one in best}
    return scores | dict(asked.words.of(others)) if others else scores


def _looks(asked: Asked, listing_ids: Sequence[UUID]) -> dict[UUID, ListingMatch]:
    """How listings look that were found by words."""
    if asked.look is None or not listing_ids:
        return {}
    photos = photo_ids_shown(asked.session, listing_ids)
    return similarities(asked.look.index, asked.look.queries, photos)


def _with_current_keys(asked: Asked, block: Block) -> Block:
    """The block by the similarities and scores that this page's candidates have.

    A query that is embedded again may have another vector by rounding, and what the words are worth
    may depend on the whole catalogue.
    """
    return replace(
        block,
        look=_current(asked, block.look),
        among=_current(asked, block.among),
        text=_current(asked, block.text),
    )


def _current(asked: Asked, span: Span[Key]) -> Span[Key]:
    return replace(span, start=_key(asked, span.start), end=_key(asked, span.end))


def _key(asked: Asked, key: Key | None) -> Key | None:
    if isinstance(key, ListingMatch) and asked.look is not None:
        return with_current_similarity(asked.look.index, asked.look.queries, key)
    return key
