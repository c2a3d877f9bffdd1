"""Searches saved in a database, and what they have found."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from db.catalogue.listings import views_of
from db.saved_searches.matches import recent_matches
from db.saved_searches.searches import (
    NewSavedSearch,
    SavedSearchView,
    Webhook,
    get_saved_search,
    save_search,
)
from db.saved_searches.tables import SavedSearch, SavedSearchMatch
from db.session import Database
from models.domain.job_payloads import Example, SearchPayload
from models.domain.types import JobStatus, JobType
from models.photo_decoding import standardise
from tests.support.clock import Clock
from tests.support.pictures import jpeg
from tests.support.workers import WorkerHarness
from workers.jobs import dispatch


def save(
    database: Database, *positive: Example, webhook: Webhook | None = None, **stated: Any
) -> UUID:
    """Save a search by these photos and listings; gives its id."""
    least = stated.pop("min_similarity", None)
    payload = SearchPayload(positive=positive, limit=1, **stated)
    listings = {example for example in positive if isinstance(example, UUID)}
    with database.write() as session:
        photos = {id_: view.photos for id_, view in views_of(session, listings).items()}
        new = NewSavedSearch(uuid4(), "Kettles", {}, payload, photos, least, webhook)
        return save_search(session, new, Clock()()).row.id


def save_picture(worker: WorkerHarness, seed: int, **stated: Any) -> UUID:
    """Save a search by a drawn picture, embedded; gives its id."""
    search_id = save(worker.database, stored_picture(worker, seed), **stated)
    match(worker)
    return search_id


def stored_picture(worker: WorkerHarness, seed: int) -> str:
    """The SHA-256 of a drawn picture, which is put into the store."""
    return worker.runtime.store.put(standardise(jpeg(seed)).data)


def match(worker: WorkerHarness) -> None:
    """Do a match job."""
    job = worker.do(JobType.MATCH, {})
    assert job.status is JobStatus.SUCCEEDED, job.error_detail


def found_by(database: Database, search_id: UUID) -> set[UUID]:
    """The listings that a saved search has found."""
    return {row.listing_id for row in matches_of(database, search_id)}


def matches_of(database: Database, search_id: UUID) -> list[SavedSearchMatch]:
    """The matches of a saved search, newest first."""
    with database.read() as session:
        number = session.scalars(
            select(SavedSearch.number).where(SavedSearch.id == search_id)
        ).one()
        return list(recent_matches(session, number, 1_000, None))


def shown(database: Database, search_id: UUID) -> SavedSearchView:
    """A saved search as it is shown."""
    with database.read() as session:
        return get_saved_search(session, search_id)


@contextmanager
def without_catching_up() -> Iterator[None]:
    """Embed jobs do what they are for and nothing else first, as if others were just at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "catch_up", lambda *_: None)
        yield
