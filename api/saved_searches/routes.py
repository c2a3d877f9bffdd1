"""Saved searches: save, list, delete, and what they have found."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Depends, Request, Response

from api.auth import require_scope
from api.deps import ResourcesDep, SavedSearchId
from api.idempotency.dependency import KeyedResources
from api.openapi import BODY_REFUSED, KEY_REFUSED, MATCH_EXAMPLE, NO_SUCH, described_body
from api.pagination import PageCursor, PageSize, next_cursor
from api.problems import responses
from api.saved_searches import service
from api.saved_searches.forms import read_saved_search
from api.saved_searches.schemas import (
    MatchPage,
    SavedSearchForm,
    SavedSearchIn,
    SavedSearchOut,
    SavedSearchPage,
)
from api.searches.routes import EXAMPLE_PHOTOS
from models.domain.types import Scope

router = APIRouter(
    prefix="/v1/saved-searches",
    tags=["saved searches"],
    dependencies=[Depends(require_scope(Scope.SEARCH))],
    responses=KEY_REFUSED,
)

TOO_MANY_SAVED: Final = responses(HTTPStatus.CONFLICT)

_BODY = described_body(
    SavedSearchForm,
    SavedSearchIn,
    photos=EXAMPLE_PHOTOS,
    required=["name"],
    examples={
        "like a listing, for less": {
            "name": "Red kettles under 20",
            "listing_id": MATCH_EXAMPLE["listing_id"],
            "filter": {"price_max": "20.00", "currency": "GBP"},
            "webhook": {"url": "https://shop.example/hooks/marketlens"},
        },
        "with these words": {
            "name": "Enamel kettles, but no electric ones",
            "text": '"enamel kettle" -electric',
            "filter": {"category": "Appliances / Kettles"},
        },
    },
)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_BODY,
    responses={**NO_SUCH, **BODY_REFUSED, **TOO_MANY_SAVED},
)
async def save(request: Request, response: Response, resources: KeyedResources) -> SavedSearchOut:
    """Save a search by photos, listings or words, stated as `POST /v1/searches` takes it.

    From now on each listing that becomes findable, or changes, is matched with it, and found at
    most once: active listings only, unless `filter` says otherwise. What orders or counts results
    (`rank`, `near`, `fusion`, `diversity`, `facets`) has no part in that. A listing that it names
    counts with the photos that it has now. With `text`, a listing must have all the words, and with
    `text` alone needs no photo. With a `webhook`, each match is sent there as well, signed with the
    secret that only this answer shows.
    """
    stated = await read_saved_search(request, resources.max_upload_bytes)
    view = await service.save(resources, stated)
    response.headers["Location"] = service.location_of(view)
    return SavedSearchOut.of(view, with_secret=True)


@router.get("")
def page(resources: ResourcesDep, cursor: PageCursor, limit: PageSize = 50) -> SavedSearchPage:
    """Saved searches, newest first."""
    views = service.list_saved(resources, limit, cursor)
    following = next_cursor([(view.row.created_at, view.row.id) for view in views], limit)
    return SavedSearchPage(items=[SavedSearchOut.of(view) for view in views], next_cursor=following)


@router.get("/{search_id}", responses=NO_SUCH)
def read(search_id: SavedSearchId, resources: ResourcesDep) -> SavedSearchOut:
    """A saved search."""
    return SavedSearchOut.of(service.read_saved(resources, search_id))


@router.delete("/{search_id}", status_code=HTTPStatus.NO_CONTENT, responses=NO_SUCH)
def delete(search_id: SavedSearchId, resources: ResourcesDep) -> None:
    """Delete a saved search with its matches; nothing more of it is sent."""
    service.delete_saved(resources, search_id)


@router.get("/{search_id}/matches", responses=NO_SUCH)
def matches(
    search_id: SavedSearchId, resources: ResourcesDep, cursor: PageCursor, limit: PageSize = 50
) -> MatchPage:
    """What it has found, newest first."""
    items = service.list_matches(resources, search_id, limit, cursor)
    following = next_cursor([(item.matched_at, item.listing_id) for item in items], limit)
    return MatchPage(items=items, next_cursor=following)
