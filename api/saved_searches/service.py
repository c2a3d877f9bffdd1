"""Saves, reads and deletes searches. Each function commits before it returns."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID, uuid4

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from api.deps import Resources
from api.listings.schemas import ListingOut
from api.pagination import Position
from api.photos.decoders import Decode
from api.saved_searches.schemas import (
    SavedByPhotos,
    SavedSearchForm,
    SavedSearchIn,
    SavedSearchMatchOut,
    SavedSearchOut,
    WebhookIn,
)
from api.schemas import PhotoLink
from api.searches.schemas import SearchByPhotos
from api.searches.service import payload_by_names, payload_by_photos
from db.catalogue.listing_photos import photo_hashes
from db.catalogue.listings import views_of
from db.idempotency import Answer
from db.saved_searches.matches import recent_matches
from db.saved_searches.searches import (
    NO_SUCH_SAVED_SEARCH,
    NewSavedSearch,
    SavedSearchView,
    Webhook,
    delete_saved_search,
    get_saved_search,
    recent_saved_searches,
    save_search,
)
from db.store.webhooks import webhook_host
from models.domain.errors import NotFound
from models.domain.job_payloads import Example, SearchPayload, StoredJson
from workers.saved_searches.due import accept_match

SECRET_BYTES: Final = 32
SIMILARITY_DECIMALS: Final = 6
NOT_OF_THE_SEARCH: Final = {"name", "webhook", "limit", "cursor", "listing_id"}


async def save(resources: Resources, stated: SavedByPhotos | SavedSearchIn) -> SavedSearchView:
    """Save a search, and have its photos embedded.

    Raises InvalidInput, NotFound for what it names, and Conflict when there are too many.
    """
    if isinstance(stated, SavedByPhotos):
        work = partial(_save_by_photos, resources, stated)
        return await resources.decoders.run(work, resources.uploads)
    return await run_in_threadpool(_save_by_names, resources, stated)


def _save_by_photos(resources: Resources, stated: SavedByPhotos, decode: Decode) -> SavedSearchView:
    webhook = _webhook(resources, stated.options.webhook)
    query = SearchByPhotos(stated.positive, stated.negative, stated.options)
    payload = payload_by_photos(resources, query, decode)
    return _save(resources, stated.options, payload, webhook)


def _save_by_names(resources: Resources, stated: SavedSearchIn) -> SavedSearchView:
    webhook = _webhook(resources, stated.webhook)
    return _save(resources, stated, payload_by_names(resources, stated), webhook)


def _webhook(resources: Resources, stated: WebhookIn | None) -> Webhook | None:
    """With a new secret, in the form that libraries of Standard Webhooks take."""
    if stated is None:
        return None
    host = webhook_host(stated.url, resources.webhook_hosts)
    key = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return Webhook(stated.url, host, f"whsec_{key}")


def _save(
    resources: Resources,
    stated: SavedSearchForm | SavedSearchIn,
    payload: SearchPayload,
    webhook: Webhook | None,
) -> SavedSearchView:
    named = {example for example in _examples(payload) if isinstance(example, UUID)}
    with resources.database.write() as session:
        # As they are now: the search looks for the same thing whatever becomes of the listing.
        views = views_of(session, named)
        if len(views) < len(named):
            raise NotFound("There is no such listing.")
        new = NewSavedSearch(
            id=uuid4(),
            name=stated.name,
            stated=_shown(stated, payload),
            payload=payload,
            listing_photos={id_: view.photos for id_, view in views.items()},
            min_similarity=stated.min_similarity,
            webhook=webhook,
            made_by=resources.caller.name,
        )
        now = resources.now()
        view = save_search(session, new, now)
        job = accept_match(session, job_id=uuid4(), now=now)
        made = SavedSearchOut.of(view, with_secret=True).model_dump(mode="json")
        answer = Answer(HTTPStatus.CREATED, body=made, location=location_of(view))
        resources.record(session, answer)
    resources.publisher.publish([job])
    return view


def location_of(view: SavedSearchView) -> str:
    """The path of a saved search."""
    return f"/v1/saved-searches/{view.row.id}"


def _examples(payload: SearchPayload) -> Sequence[Example]:
    return [*payload.positive, *payload.negative]


def _shown(stated: SavedSearchForm | SavedSearchIn, payload: SearchPayload) -> StoredJson:
    """The search as it would be stated in JSON."""
    said = stated.model_dump(mode="json", exclude_unset=True, exclude=NOT_OF_THE_SEARCH)
    examples = {
        "positive": [str(example) for example in payload.positive],
        "negative": [str(example) for example in payload.negative],
    }
    return {**said, **{name: some for name, some in examples.items() if some}}


def list_saved(
    resources: Resources, limit: int, after: Position | None
) -> Sequence[SavedSearchView]:
    """At most `limit` saved searches of the caller, newest first, after this position."""
    with resources.database.read() as session:
        return recent_saved_searches(session, limit, after, made_by=resources.caller.listed_for)


def read_saved(resources: Resources, search_id: UUID) -> SavedSearchView:
    """A saved search that the caller may see. Raises NotFound."""
    with resources.database.read() as session:
        return _seen(resources, session, search_id)


def _seen(resources: Resources, session: Session, search_id: UUID) -> SavedSearchView:
    """The saved search. Raises NotFound for one of another key as for one that is not there."""
    view = get_saved_search(session, search_id)
    if not resources.caller.may_see(view.row.made_by):
        raise NotFound(NO_SUCH_SAVED_SEARCH)
    return view


def delete_saved(resources: Resources, search_id: UUID) -> None:
    """Delete a saved search with its matches. Raises NotFound."""
    with resources.database.write() as session:
        _seen(resources, session, search_id)
        delete_saved_search(session, search_id)


def list_matches(
    resources: Resources, search_id: UUID, limit: int, after: Position | None
) -> list[SavedSearchMatchOut]:
    """At most `limit` of its matches, newest first, after this position. Raises NotFound."""
    with resources.database.read() as session:
        saved = _seen(resources, session, search_id).row
        rows = recent_matches(session, saved.number, limit, after)
        views = views_of(session, [row.listing_id for row in rows])
        photo_ids = {row.photo_id for row in rows if row.photo_id is not None}
        hashes = photo_hashes(session, photo_ids)
    return [
        SavedSearchMatchOut(
            listing_id=row.listing_id,
            listing=ListingOut.of(view) if (view := views.get(row.listing_id)) else None,
            photo=_photo(row.photo_id, hashes),
            similarity=None
            if row.similarity is None
            else round(row.similarity, SIMILARITY_DECIMALS),
            matched_at=row.created_at,
            delivered_at=row.delivered_at,
            attempts=row.attempts,
            error=row.error,
        )
        for row in rows
    ]


def _photo(photo_id: int | None, hashes: Mapping[int, str]) -> PhotoLink | None:
    """The photo that was found, by the hashes of those that are there."""
    sha256 = None if photo_id is None else hashes.get(photo_id)
    return None if sha256 is None else PhotoLink.of(sha256)
