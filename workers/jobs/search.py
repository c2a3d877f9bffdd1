"""The search job: finds listings by what they look like, by their words, or by both."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_ids_shown
from db.catalogue.listings import count_listings
from db.events.exclusions import hidden_listings
from db.jobs.claiming import Claim
from db.text.search import text_match_numbers
from db.vectors.embeddings import live_vectors_of
from models.columns.columns import Columns
from models.columns.passing import Passing
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, NotReady
from models.domain.job_payloads import JobPayload, RecommendationPayload, SearchPayload
from models.domain.job_results.searches import Facet
from models.domain.searches.block_cursors import Block, BlockCursor, Span, TextMatch
from models.domain.searches.options import DEFAULT_FUSION, Ranking, RankPart
from models.domain.types import EncoderSpec, Match
from models.ranking.order import NO_DIVERSITY
from models.text.languages import TextLanguage
from workers.indexes.following import FollowingIndex
from workers.search.blocks import Asked, Look, Words
from workers.search.catalogues import count_facets, listings_passing
from workers.search.query import Query
from workers.search.query_encoder import QueryEncoder
from workers.search.ranked import Position, RankOptions, ranked_page
from workers.search.results import Found
from workers.search.retrieval import ANY_ACTIVE, Page, Retrieved, nearest_photos, retrieve
from workers.search.stopwatch import Stopwatch
from workers.search.words import LOOKED_AT, PAGED, StoredWords, words_of

log = logging.getLogger(__name__)

AnyCursor = TypeVar("AnyCursor", Cursor, BlockCursor)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The listings of a page, and the cursor of the next one if there are more.

    `by_look` says whether the encoder and the index had a part in it; then `nearest` are the
    nearest photos of all, see `Retrieved`.
    """

    listings: Sequence[Found]
    cursor: str | None
    exact: bool
    by_look: bool
    nearest: tuple[Match, ...] = ()
    facets: tuple[Facet, ...] = ()
    corrected: str | None = None
    left_out: tuple[str, ...] = ()
    nothing_indexed: bool = False


@dataclass(frozen=True, slots=True)
class SearchTools:
    """What searches are answered with.

    `index`, which look needs, and `columns`, if there are some, are in step with `session`.
    """

    session: Session
    encoder: QueryEncoder
    encoder_id: int
    index: FollowingIndex
    columns: Columns | None
    language: TextLanguage
    watch: Stopwatch


def needs_columns(payload: JobPayload) -> bool:
    """Whether a query is better answered later than without columns in memory."""
    if isinstance(payload, RecommendationPayload):
        return bool(payload.filter and payload.filter.attributes)
    if not isinstance(payload, SearchPayload):
        return False
    return bool(payload.facets or (payload.filter and payload.filter.attributes))


def uses_columns(payload: JobPayload) -> bool:
    """Whether a query is answered by columns, if there are some."""
    if isinstance(payload, RecommendationPayload):
        return True
    if not isinstance(payload, SearchPayload):
        return False
    return payload.is_ranked or _is_counted_or_filtered(payload)


def _is_counted_or_filtered(payload: SearchPayload) -> bool:
    return bool(payload.facets or (payload.filter and payload.filter.narrows))


def find_listings(
    claim: Claim, payload: SearchPayload, query: Query, tools: SearchTools
) -> SearchPage:
    """The page of listings, and the facets, that a search asks for.

    Raises CursorExpired where it continues a search that was made with another encoder,
    InvalidInput for a cursor of another search, NotReady where columns are
    needed and not there, and what `QueryEncoder.queries_of` raises.
    """
    search = _Search(claim, payload, query, tools)
    page = search.page()
    if not page.listings and payload.positive and _lacks_photos(tools):
        return replace(page, nothing_indexed=True)
    return page


def _lacks_photos(tools: SearchTools) -> bool:
    """Whether there are listings, but no photo of theirs is in the index."""
    if tools.index.index.rows or not count_listings(tools.session):
        return False
    log.warning(
        "no photo has been embedded by %s yet: `marketlens seed` queues what is missing",
        tools.encoder.spec.label,
    )
    return True


class _Search:
    """A search, what passes its filter, and what has its words."""

    def __init__(
        self, claim: Claim, payload: SearchPayload, query: Query, tools: SearchTools
    ) -> None:
        self._claim = claim
        self._payload = payload
        self._query = query
        self._tools = tools
        self._excluded = query.listings | _hidden_by(payload.user, tools.session)
        self._wanted = payload.filter or ANY_ACTIVE
        self._passing = self._listings_passing()
        self._words = self._having_words()

    def page(self) -> SearchPage:
        if self._payload.is_ranked:
            page = self._ranked()
        elif self._words is not None:
            page = self._by_words(self._words)
        else:
            page = self._by_look()
        if self._words is not None:
            corrected = self._words.searched.corrected
            page = replace(page, corrected=corrected, left_out=self._words.left_out)
        facets = self._facets()
        return replace(page, facets=facets) if facets else page

    def _listings_passing(self) -> Passing | None:
        columns = self._tools.columns
        # Columns may be there for another search that is answered together with this one.
        if columns is None or not _is_counted_or_filtered(self._payload):
            return None
        return listings_passing(self._tools.session, columns, self._wanted)

    def _facets(self) -> tuple[Facet, ...]:
        if not self._payload.facets:
            return ()
        counted, session = self._passing, self._tools.session
        if counted is None:
            raise NotReady("The listings have not been read yet by which facets are counted.")
        if self._words is not None:
            numbers, _ = text_match_numbers(session, self._words.searched)
            counted = counted.among(numbers)
        return count_facets(session, counted, self._payload.facets)

    def _having_words(self) -> StoredWords | None:
        payload, tools = self._payload, self._tools
        if payload.text is None:
            return None
        limit = LOOKED_AT if payload.is_ranked else PAGED
        if not payload.is_ranked and payload.cursor is None:
            # A first page of words alone needs no more than it shows.
            limit = payload.limit + 1
        words = words_of(
            tools.session,
            payload.text,
            self._wanted,
            self._excluded,
            passing=self._passing,
            language=tools.language,
            limit=limit,
        )
        tools.watch.lap("text")
        return words

    def _by_look(self) -> SearchPage:
        """The most similar."""
        payload, tools = self._payload, self._tools
        spec = tools.encoder.spec
        cursor = _made_with(spec, _decoded(Cursor, payload))
        vectors = tools.encoder.queries_of(self._query)
        last = cursor.last if cursor else None
        page = Page(payload.limit, last, self._excluded, self._wanted)
        found = retrieve(tools.session, tools.index.index, vectors, page, passing=self._passing)
        if payload.min_similarity is not None:
            found = _similar_enough(found, payload.min_similarity)
        rest = None
        if found.more:
            rest = Cursor(self._claim.job_id, spec.fingerprint, found.listings[-1]).encode()
        listings = [
            Found(match.listing_id, match.photo_id, match.similarity) for match in found.listings
        ]
        return SearchPage(listings, rest, found.exact, by_look=True, nearest=found.nearest)

    def _by_words(self, words: Words) -> SearchPage:
        """Those that have the words, by their score."""
        payload, claim = self._payload, self._claim
        cursor = _decoded(BlockCursor, payload)
        span: Span[TextMatch] = cursor.block.text if cursor else Span()
        rest = [(one, hit) for one, hit in words.best.items() if not span.is_before(hit)]
        shown = rest[: payload.limit]
        photos = photo_ids_shown(self._tools.session, [one for one, _ in shown])
        listings = [
            Found(
                one,
                next(iter(photos.get(one, ())), None),
                None,
                hit.score,
                {RankPart.TEXT: hit.score},
            )
            for one, hit in shown
        ]
        text = None
        if len(rest) > payload.limit:
            block = Block(text=Span(shown[-1][1]))
            text = BlockCursor(claim.job_id, None, claim.created_at, block).encode()
        return SearchPage(listings, text, words.exact, by_look=False)

    def _ranked(self) -> SearchPage:
        """Those that fit best in all that counts."""
        payload, tools = self._payload, self._tools
        cursor = _decoded(BlockCursor, payload)
        fingerprint, look = None, None
        if payload.positive:
            fingerprint = tools.encoder.spec.fingerprint
            cursor = _made_with(tools.encoder.spec, cursor)
            look = Look(tools.index.index, tools.encoder.queries_of(self._query))
        asked = Asked(
            tools.session,
            look,
            self._words,
            self._wanted,
            self._passing,
            self._excluded,
            payload.min_similarity,
            columns=tools.columns,
        )
        now = cursor.now if cursor else self._claim.created_at
        page = ranked_page(
            asked,
            _options(payload, now),
            payload.limit,
            Position(cursor.block, cursor.shown) if cursor else Position(),
            partial(_vectors_of, tools.session, tools.encoder_id),
        )
        text = None
        if page.rest is not None:
            rest = page.rest
            text = BlockCursor(
                self._claim.job_id, fingerprint, now, rest.block, rest.shown
            ).encode()
        nearest = nearest_photos(look.index, look.queries) if look else ()
        return SearchPage(
            page.listings, text, page.exact, by_look=look is not None, nearest=nearest
        )


def _hidden_by(user: str | None, session: Session) -> set[UUID]:
    """What the user has hidden who searches, by whose key the payload knows them."""
    return set() if user is None else hidden_listings(session, bytes.fromhex(user))


def _similar_enough(found: Retrieved, least: float) -> Retrieved:
    kept = [match for match in found.listings if match.similarity >= least]
    more = found.more and len(kept) == len(found.listings)
    return replace(found, listings=kept, more=more)


def _options(payload: SearchPayload, now: datetime) -> RankOptions:
    return RankOptions(
        now,
        payload.rank or Ranking(),
        payload.fusion or DEFAULT_FUSION,
        payload.diversity or NO_DIVERSITY,
        payload.near,
        [example for example in payload.positive if isinstance(example, UUID)],
    )


def _vectors_of(
    session: Session, encoder_id: int, photo_ids: Sequence[int]
) -> Mapping[int, NDArray[np.float32]]:
    ids, vectors = live_vectors_of(session, encoder_id, photo_ids)
    return dict(zip(ids.tolist(), vectors, strict=True))


def _decoded(kind: type[AnyCursor], payload: SearchPayload) -> AnyCursor | None:
    return None if payload.cursor is None else kind.decode(payload.cursor)


def _made_with(spec: EncoderSpec, cursor: AnyCursor | None) -> AnyCursor | None:
    """The cursor. Raises CursorExpired if its search was made with another encoder."""
    if cursor is not None and cursor.fingerprint != spec.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    return cursor
