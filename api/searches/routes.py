"""Searches: submit, poll, cancel."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse

from api.auth import require_scope
from api.deps import ResourcesDep, SearchId
from api.forms import PHOTO_PART
from api.idempotency.dependency import KeyedResources
from api.jobs.events import job_changes
from api.jobs.prefer_wait import Prefer, awaited_job
from api.jobs.responses import polled_job
from api.jobs.schemas import JobOut, SearchJob, job_out
from api.jobs.service import cancel_job_of_type, read_job_of_type
from api.openapi import (
    BODY_REFUSED,
    KEY_REFUSED,
    MATCH_EXAMPLE,
    NO_SUCH,
    PHOTO,
    TOO_MANY,
    described_body,
    described_job,
)
from api.problems import responses
from api.searches.forms import NEGATIVE_PART, read_search
from api.searches.schemas import MAX_EXAMPLES, UserSearchForm, UserSearchIn
from api.searches.service import accept_search
from db.tables import Job
from models.domain.cursors import Cursor
from models.domain.types import JobType, ListingMatch, Scope

router = APIRouter(
    prefix="/v1/searches",
    tags=["searches"],
    dependencies=[Depends(require_scope(Scope.SEARCH))],
    responses=KEY_REFUSED,
)

_LISTING, _PHOTO = str(MATCH_EXAMPLE["listing_id"]), f"{7:064x}"
_FOUND: Final = {
    **MATCH_EXAMPLE,
    "match": "same item",
    "score": 0.961916,
    "reasons": {"similarity": 0.981204, "distance": 0.5, "category": 1.0},
}
_CURSOR = Cursor(
    UUID("0b7e7a5c-7d0f-4c8b-9a55-0f4f6f3c2c11"),
    f"{26:064x}",
    ListingMatch(UUID(_LISTING), 7, 0.981204),
).encode()

_JOB = described_job(
    SearchJob,
    JobType.SEARCH,
    {
        "generation": 3,
        "encoder": "resnet50-1a2b3c4d",
        "exact": True,
        "took_ms": {
            "queue": 4.1,
            "decode": 2.0,
            "embed": 61.3,
            "sync": 0.8,
            "search": 1.9,
            "rank": 3.2,
            "total": 73.5,
        },
        "results": [_FOUND],
        "match": "same item",
        "next_cursor": _CURSOR,
        "region": {"x": 0.25, "y": 0.1, "w": 0.5, "h": 0.6},
        "facets": [],
        "corrected": "red kettle",
        "left_out": [],
        "nothing_indexed": False,
    },
)

_PHOTOS = {"type": "array", "items": PHOTO, "maxItems": MAX_EXAMPLES}
EXAMPLE_PHOTOS: Final = {
    PHOTO_PART: {
        **_PHOTOS,
        "minItems": 1,
        "description": "Several are several examples; all together may be as large as one.",
    },
    NEGATIVE_PART: {**_PHOTOS, "description": "What the results are not to look like."},
}
"""The photos of a search's form."""
_BODY = described_body(
    UserSearchForm,
    UserSearchIn,
    photos=EXAMPLE_PHOTOS,
    examples={
        "like a listing, near by": {
            "listing_id": _LISTING,
            "limit": 20,
            "filter": {
                "category": "Appliances",
                "price_max": "25.00",
                "currency": "GBP",
                "near": {"lat": 53.8, "lon": -1.55, "km": 30},
                "exclude_seller": "sam-4711",
                "created_after": "2026-03-01T00:00:00Z",
                "attributes": {
                    "colour": ["red", "orange"],
                    "condition": "new",
                    "litres": {"min": 1.5, "max": 2},
                },
            },
        },
        "this, but in red, and near": {
            "listing_id": _LISTING,
            "text": "red",
            "near": {"lat": 53.8, "lon": -1.55},
            "rank": {"weights": {"freshness": 0.1}, "price": "20.00", "currency": "GBP"},
            "diversity": {"strength": 0.2, "per_seller": 2},
            "facets": ["category", {"name": "price", "edges": [10, 20, 50]}],
        },
        "words alone": {"text": "enamel kettle -electric"},
        "like two things, not like a third": {
            "positive": [_LISTING, _PHOTO],
            "negative": ["5d0c7d2e-7f0b-4a44-9a3e-6a0f2f2c9d11"],
        },
        "like a part of a photo": {
            "positive": [_PHOTO],
            "region": {"x": 0.25, "y": 0.1, "w": 0.5, "h": 0.6},
        },
        "like what a photo shows": {"positive": [_PHOTO], "region": "auto"},
        "the next page": {"cursor": _CURSOR},
    },
)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BODY,
    responses={**_JOB, **NO_SUCH, **BODY_REFUSED, **TOO_MANY, **responses(HTTPStatus.GONE)},
    response_model=SearchJob,
)
async def submit(
    request: Request, response: Response, resources: KeyedResources, prefer: Prefer
) -> JobOut:
    """Search by photos (multipart), or by what is stored, or on to the next page (JSON).

    Each listing comes once, by its photo that matches best; active listings only, unless `filter`
    says otherwise. One photo or listing is searched by as it is. Several, or with `negative` ones,
    are averaged, less a fifth of the average of the negatives. The `region` `auto` is where a
    network finds the subject of the only photo; the result says which part that was, and null where
    the subject fills the photo. A listing that is named is never
    found. `exact` says that no better listing was missed. `next_cursor`, if there are more, leads
    on from the last one, whatever was added or deleted meanwhile.

    With `text` beside it, what has the words counts as well as what looks alike; `text` alone needs
    no photo. `rank`, `near` and `diversity` say what else counts. Then results have a `score`, and
    in `reasons` the parts that it is the mean of.

    `match` says how sure a result is: the `same item` (right 19 times of 20), `very similar` (of
    the same sub category, four times of five), `related`, or `none`, no more like it than what is
    found for a picture of anything. That of the search is its surest result's: with `none`, the
    catalogue has nothing like it. Measured for each encoder on the catalogue itself (admins see the
    figures with the encoders); null until then, and for searches by several examples.
    """
    resources.backlog.require_room()
    query = await read_search(request, resources.max_upload_bytes)
    resources.backlog.admit()
    job = await accept_search(resources, query)
    return await awaited_job(request, resources, job, response, router.prefix, prefer)


@router.get(
    "/{search_id}",
    responses={**_JOB, **NO_SUCH},
    response_model=SearchJob,
)
def read(search_id: SearchId, resources: ResourcesDep, response: Response) -> JobOut:
    """A search's status, and its results once it has succeeded."""
    job = read_job_of_type(resources, search_id, JobType.SEARCH)
    return polled_job(resources, job, response)


async def _known_search(search_id: SearchId, resources: ResourcesDep) -> Job:
    # Before the stream begins: a search that is not there is answered with 404.
    return await run_in_threadpool(read_job_of_type, resources, search_id, JobType.SEARCH)


@router.get("/{search_id}/events", response_class=EventSourceResponse, responses=NO_SUCH)
async def events(
    job: Annotated[Job, Depends(_known_search)], resources: ResourcesDep
) -> AsyncIterator[JobOut]:
    """The search as it is, and each time it has changed, until it ends (server-sent events)."""
    async for changed in job_changes(resources, job):
        yield job_out(changed)


@router.delete(
    "/{search_id}",
    responses=NO_SUCH,
    response_model=SearchJob,
)
def cancel(search_id: SearchId, resources: ResourcesDep) -> JobOut:
    """Cancel a search that has not ended; one that has stays as it is."""
    return job_out(cancel_job_of_type(resources, search_id, JobType.SEARCH))
