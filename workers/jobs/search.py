"""The search job: finds the listings that look like given photos and listings."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from db.catalogue.listings import count_listings
from models.columns.columns import Columns
from models.domain.cursors import Cursor
from models.domain.errors import CursorExpired, NothingIndexed, Unavailable
from models.domain.job_payloads import JobPayload, SearchPayload
from models.domain.job_results import Facet
from models.domain.types import EncoderSpec, ListingMatch
from workers.indexes.following import FollowingIndex
from workers.search.catalogues import count_facets, listings_passing
from workers.search.query import Query
from workers.search.query_encoder import QueryEncoder
from workers.search.retrieval import ANY_ACTIVE, Page, Retrieved, retrieve


class Found(NamedTuple):
    """A page of listings, and what is counted of all that could be found."""

    page: Retrieved
    facets: tuple[Facet, ...] = ()


def needs_columns(payload: JobPayload) -> bool:
    """Whether a query is better answered later than without columns in memory."""
    if not isinstance(payload, SearchPayload):
        return False
    return bool(payload.facets or (payload.filter and payload.filter.attributes))


def uses_columns(payload: JobPayload) -> bool:
    """Whether a query is answered by columns, if there are some."""
    if not isinstance(payload, SearchPayload):
        return False
    return bool(payload.facets or (payload.filter and payload.filter.narrows))


def find_listings(
    payload: SearchPayload,
    query: Query,
    *,
    session: Session,
    encoder: QueryEncoder,
    index: FollowingIndex,
    columns: Columns | None,
) -> Found:
    """The page of listings and the facets that a search asks for.

    `index` and `columns`, if there are some, are in step with `session`.

    Raises CursorExpired where it continues a search that was made with another encoder,
    NothingIndexed, and what `QueryEncoder.queries_of` raises.
    """
    after = _last_of_page_before(payload, encoder.spec)
    vectors = encoder.queries_of(query)
    wanted = payload.filter or ANY_ACTIVE
    page = Page(payload.limit, after, query.listings, wanted)
    passing = None if columns is None else listings_passing(session, columns, wanted)
    found = retrieve(session, index.index, vectors, page, passing=passing)
    if not found.listings and index.index.rows == 0 and count_listings(session):
        raise NothingIndexed(
            f"No photo has been embedded by {encoder.spec.label} yet: "
            "`marketlens seed` queues what is missing."
        )
    if not payload.facets:
        return Found(found)
    if passing is None:
        raise Unavailable("The listings have not been read yet by which facets are counted.")
    return Found(found, count_facets(session, passing, payload.facets))


def _last_of_page_before(payload: SearchPayload, spec: EncoderSpec) -> ListingMatch | None:
    if payload.cursor is None:
        return None
    cursor = Cursor.decode(payload.cursor)
    if cursor.fingerprint != spec.fingerprint:
        raise CursorExpired("Searches are made with another encoder since: search again.")
    return cursor.last
