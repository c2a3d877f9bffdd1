"""The search job: finds listings by what they look like, by their words, or by both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_ids_shown
from db.catalogue.listings import count_listings
from db.jobs import Claim
from db.vectors.embeddings import live_vectors_of
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, NothingIndexed
from models.domain.job_payloads import SearchPayload
from models.domain.searches.block_cursors import Block, BlockCursor, Span, TextMatch
from models.domain.searches.options import DEFAULT_FUSION, Ranking, RankPart
from models.domain.types import EncoderSpec
from models.ranking.order import NO_DIVERSITY
from models.text.stemming import TextLanguage
from workers.indexes.following import FollowingIndex
from workers.search.blocks import Asked, Look, Words
from workers.search.query import Query
from workers.search.query_encoder import QueryEncoder
from workers.search.ranked import Position, RankOptions, ranked_page
from workers.search.results import Found
from workers.search.retrieval import ANY_ACTIVE, Page, Retrieved, retrieve
from workers.search.stopwatch import Stopwatch
from workers.search.words import LOOKED_AT, words_of

AnyCursor = TypeVar("AnyCursor", Cursor, BlockCursor)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The listings of a page, and the cursor of the next one if there are more.

    `by_look` says whether the encoder and the index had a part in it.
    """

    listings: Sequence[Found]
    cursor: str | None
    exact: bool
    by_look: bool


@dataclass(frozen=True, slots=True)
class SearchTools:
    """What searches are answered with; `index`, which look needs, is in step with `session`."""

    session: Session
    encoder: QueryEncoder
    encoder_id: int
    index: FollowingIndex
    language: TextLanguage
    watch: Stopwatch


def find_listings(
    claim: Claim, payload: SearchPayload, query: Query, tools: SearchTools
) -> SearchPage:
    """The page of listings that a search asks for.

    Raises CursorExpired where it continues a search that was made with another encoder,
    InvalidInput for a cursor of another search, NothingIndexed, and what `QueryEncoder.queries_of`
    raises.
    """
    words = _words(payload, query, tools)
    if payload.is_ranked:
        page = _ranked(claim, payload, query, words, tools)
    elif words is not None:
        page = _by_words(claim, payload, words, tools)
    else:
        page = _by_look(claim, payload, query, tools)
    if not page.listings and payload.positive:
        _require_embedded(tools)
    return page


def _require_embedded(tools: SearchTools) -> None:
    if tools.index.index.rows == 0 and count_listings(tools.session):
        raise NothingIndexed(
            f"No photo has been embedded by {tools.encoder.spec.label} yet: "
            "`marketlens seed` queues what is missing."
        )


def _words(payload: SearchPayload, query: Query, tools: SearchTools) -> Words | None:
    if payload.text is None:
        return None
    # A first page of words alone needs no more than it shows.
    is_first = not payload.is_ranked and payload.cursor is None
    words = words_of(
        tools.session,
        payload.text,
        payload.filter or ANY_ACTIVE,
        query.listings,
        language=tools.language,
        limit=payload.limit + 1 if is_first else LOOKED_AT,
    )
    tools.watch.lap("text")
    return words


def _by_look(claim: Claim, payload: SearchPayload, query: Query, tools: SearchTools) -> SearchPage:
    """The most similar."""
    spec = tools.encoder.spec
    cursor = _made_with(spec, _decoded(Cursor, payload))
    vectors = tools.encoder.queries_of(query)
    last = cursor.last if cursor else None
    page = Page(payload.limit, last, query.listings, payload.filter or ANY_ACTIVE)
    found = retrieve(tools.session, tools.index.index, vectors, page)
    if payload.min_similarity is not None:
        found = _similar_enough(found, payload.min_similarity)
    rest = None
    if found.more:
        rest = Cursor(claim.job_id, spec.fingerprint, found.listings[-1]).encode()
    listings = [
        Found(match.listing_id, match.photo_id, match.similarity) for match in found.listings
    ]
    return SearchPage(listings, rest, found.exact, by_look=True)


def _similar_enough(found: Retrieved, least: float) -> Retrieved:
    kept = [match for match in found.listings if match.similarity >= least]
    return Retrieved(kept, found.more and len(kept) == len(found.listings), found.exact)


def _by_words(claim: Claim, payload: SearchPayload, words: Words, tools: SearchTools) -> SearchPage:
    """Those that have the words, by their score."""
    cursor = _decoded(BlockCursor, payload)
    span: Span[TextMatch] = cursor.block.text if cursor else Span()
    rest = [(one, hit) for one, hit in words.best.items() if not span.is_before(hit)]
    shown = rest[: payload.limit]
    photos = photo_ids_shown(tools.session, [one for one, _ in shown])
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
    if len(rest) <= payload.limit:
        return SearchPage(listings, None, words.complete, by_look=False)
    block = Block(text=Span(shown[-1][1]))
    cursor = BlockCursor(claim.job_id, None, claim.created_at, block)
    return SearchPage(listings, cursor.encode(), words.complete, by_look=False)


def _ranked(
    claim: Claim,
    payload: SearchPayload,
    query: Query,
    words: Words | None,
    tools: SearchTools,
) -> SearchPage:
    """Those that fit best in all that counts."""
    cursor = _decoded(BlockCursor, payload)
    fingerprint, look = None, None
    if payload.positive:
        fingerprint = tools.encoder.spec.fingerprint
        cursor = _made_with(tools.encoder.spec, cursor)
        look = Look(tools.index.index, tools.encoder.queries_of(query))
    asked = Asked(
        tools.session,
        look,
        words,
        payload.filter or ANY_ACTIVE,
        query.listings,
        payload.min_similarity,
    )
    now = cursor.now if cursor else claim.created_at
    position = Position(cursor.block, cursor.shown) if cursor else Position()
    page = ranked_page(
        asked,
        _options(payload, now),
        payload.limit,
        position,
        partial(_vectors_of, tools.session, tools.encoder_id),
    )
    rest = None
    if page.rest is not None:
        rest = BlockCursor(claim.job_id, fingerprint, now, page.rest.block, page.rest.shown)
    text = rest.encode() if rest else None
    return SearchPage(page.listings, text, page.exact, by_look=look is not None)


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
