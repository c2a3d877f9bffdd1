"""The search job: photos and listings in, listings that look like them out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from db.catalogue.listings import count_listings
from db.jobs import Claim
from db.session import Database
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, NothingIndexed
from models.domain.filters import ListingFilter
from models.domain.types import EncoderSpec, ListingMatch
from workers.indexes.live import FollowingIndex
from workers.search.query_encoder import QueryEncoder, Stopwatch, described, question_of
from workers.search.retrieval import ANY_ACTIVE, Retrieved, retrieve


def run_search(
    claim: Claim,
    *,
    database: Database,
    encoder: QueryEncoder,
    index: FollowingIndex,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Do a search job and give its result, as the HTTP contract shows it.

    Raises CursorExpired where it is to go on with what another encoder has found, and what
    `question_of` and `QueryEncoder.queries_of` raise.
    """
    watch = Stopwatch((clock() - claim.created_at).total_seconds() * 1e3)
    payload = claim.payload
    after = _page_before(payload, encoder.spec)
    question = question_of(payload, database)
    queries = encoder.queries_of(question, watch)
    wanted = ListingFilter.from_payload(payload["filter"]) if "filter" in payload else ANY_ACTIVE
    with database.read() as session:
        index.sync(session)
        watch.lap("sync")
        page = retrieve(
            session,
            index.index,
            queries,
            payload["limit"],
            question.listings,
            wanted=wanted,
            after=after,
        )
        if not page.listings and index.index.rows == 0 and count_listings(session):
            raise NothingIndexed(
                f"No photo has been embedded by {encoder.spec.label} yet: "
                "`marketlens seed` queues what is missing."
            )
        watch.lap("search")
    results = described(page.listings, database)
    watch.lap("rank")
    return {
        "generation": index.generation_id,
        "encoder": encoder.spec.label,
        "exact": page.exact,
        "took_ms": watch.stop(),
        "results": results,
        "next_cursor": _next_cursor(claim, encoder.spec, page),
    }


def _page_before(payload: dict[str, Any], spec: EncoderSpec) -> ListingMatch | None:
    """The last listing of the page before, if there is one."""
    if "cursor" not in payload:
        return None
    cursor = Cursor.decode(payload["cursor"])
    if cursor.fingerprint != spec.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    return cursor.last


def _next_cursor(claim: Claim, spec: EncoderSpec, page: Retrieved) -> str | None:
    if not page.more:
        return None
    return Cursor(claim.job_id, spec.fingerprint, page.listings[-1]).encode()
