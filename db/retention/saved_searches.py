"""Saved searches forget the listings that they name, or were made from."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Text, cast, delete, or_, select
from sqlalchemy.orm import Session

from db.retention.traces import without
from db.saved_searches.progress import lock_for_changing, record_saved_changes
from db.saved_searches.tables import SavedSearch, SavedSearchMatch, SavedSearchVectors
from db.statements import chunks
from models.domain.job_payloads import SearchPayload

AT_ONCE = 50


def forget_listings(session: Session, listing_ids: Sequence[UUID]) -> None:
    """Delete all matches of these listings, and take them out of what is searched for.

    A saved search that is for nothing else is deleted; others are embedded again.
    """
    lock_for_changing(session)
    for chunk in chunks(listing_ids):
        deleting = delete(SavedSearchMatch).where(SavedSearchMatch.listing_id.in_(chunk))
        session.execute(deleting.execution_options(synchronize_session=False))
    traces = {str(listing_id) for listing_id in listing_ids}
    changed: list[int] = []
    for some in chunks(sorted(traces), AT_ONCE):
        named = or_(*(cast(SavedSearch.payload, Text).contains(trace) for trace in some))
        for row in session.scalars(select(SavedSearch).where(named).order_by(SavedSearch.number)):
            changed.append(row.number)
            _forget(session, row, traces)
    record_saved_changes(session, sorted(set(changed)))


def _forget(session: Session, row: SavedSearch, traces: set[str]) -> None:
    its_vectors = delete(SavedSearchVectors).where(SavedSearchVectors.saved_search == row.number)
    session.execute(its_vectors.execution_options(synchronize_session=False))
    payload = without(row.payload, traces)
    stated = without(row.stated, traces)
    if not isinstance(payload, dict) or not isinstance(stated, dict) or not _is_search(payload):
        its_matches = delete(SavedSearchMatch).where(SavedSearchMatch.saved_search == row.number)
        session.execute(its_matches.execution_options(synchronize_session=False))
        session.delete(row)
        session.flush()
        return
    row.payload = payload
    row.stated = stated
    of_listings = without(row.listing_photos, traces)
    row.listing_photos = of_listings if isinstance(of_listings, dict) else {}
    session.flush()


def _is_search(payload: dict[str, object]) -> bool:
    try:
        SearchPayload.model_validate(payload)
    except ValidationError:
        return False
    return True
