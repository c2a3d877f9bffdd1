"""The search job: finds the listings that look like given photos and listings."""

from collections.abc import Callable
from datetime import datetime

from db.catalogue.listings import count_listings
from db.jobs import Claim
from db.session import Database
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, NothingIndexed
from models.domain.job_payloads import SearchPayload
from models.domain.job_results import SearchResult
from models.domain.types import EncoderSpec, ListingMatch
from workers.indexes.following import FollowingIndex
from workers.search.query import query_of
from workers.search.query_encoder import QueryEncoder
from workers.search.results import found_listings
from workers.search.retrieval import ANY_ACTIVE, Page, retrieve
from workers.search.stopwatch import Stopwatch


def run_search(
    claim: Claim,
    payload: SearchPayload,
    *,
    database: Database,
    encoder: QueryEncoder,
    index: FollowingIndex,
    clock: Callable[[], datetime],
) -> SearchResult:
    """Do a search job and give its result.

    Raises CursorExpired where it continues a search that was made with another encoder, and what
    `query_of` and `QueryEncoder.queries_of` raise.
    """
    watch = Stopwatch((clock() - claim.created_at).total_seconds() * 1e3)
    after = _last_of_page_before(payload, encoder.spec)
    query = query_of(payload, database)
    vectors = encoder.queries_of(query, watch)
    with database.read() as session:
        index.sync(session)
        watch.lap("sync")
        found = retrieve(
            session,
            index.index,
            vectors,
            Page(payload.limit, after, query.listings, payload.filter or ANY_ACTIVE),
        )
        if not found.listings and index.index.rows == 0 and count_listings(session):
            raise NothingIndexed(
                f"No photo has been embedded by {encoder.spec.label} yet: "
                "`marketlens seed` queues what is missing."
            )
        watch.lap("search")
    results = found_listings(found.listings, database)
    watch.lap("rank")
    next_cursor = None
    if found.more:
        last = found.listings[-1]
        next_cursor = Cursor(claim.job_id, encoder.spec.fingerprint, last).encode()
    return SearchResult(
        generation=index.generation_id,
        encoder=encoder.spec.label,
        exact=found.exact,
        took_ms=watch.stop(),
        results=results,
        next_cursor=next_cursor,
    )


def _last_of_page_before(payload: SearchPayload, spec: EncoderSpec) -> ListingMatch | None:
    if payload.cursor is None:
        return None
    cursor = Cursor.decode(payload.cursor)
    if cursor.fingerprint != spec.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    return cursor.last
