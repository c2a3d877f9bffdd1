"""The search job: finds the listings that look like given photos and listings."""

from sqlalchemy.orm import Session

from db.catalogue.listings import count_listings
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, NothingIndexed
from models.domain.job_payloads import SearchPayload
from models.domain.types import EncoderSpec, ListingMatch
from workers.indexes.following import FollowingIndex
from workers.search.query import Query
from workers.search.query_encoder import QueryEncoder
from workers.search.retrieval import ANY_ACTIVE, Page, Retrieved, retrieve


def find_listings(
    payload: SearchPayload,
    query: Query,
    *,
    session: Session,
    encoder: QueryEncoder,
    index: FollowingIndex,
) -> Retrieved:
    """The page of listings that a search asks for; `index` is in step with `session`.

    Raises CursorExpired where it continues a search that was made with another encoder,
    NothingIndexed, and what `QueryEncoder.queries_of` raises.
    """
    after = _last_of_page_before(payload, encoder.spec)
    vectors = encoder.queries_of(query)
    page = Page(payload.limit, after, query.listings, payload.filter or ANY_ACTIVE)
    found = retrieve(session, index.index, vectors, page)
    if not found.listings and index.index.rows == 0 and count_listings(session):
        raise NothingIndexed(
            f"No photo has been embedded by {encoder.spec.label} yet: "
            "`marketlens seed` queues what is missing."
        )
    return found


def _last_of_page_before(payload: SearchPayload, spec: EncoderSpec) -> ListingMatch | None:
    if payload.cursor is None:
        return None
    cursor = Cursor.decode(payload.cursor)
    if cursor.fingerprint != spec.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    return cursor.last
