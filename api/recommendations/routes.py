"""Recommendations: ask for one, read it, cancel it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse

from api.auth import require_scope
from api.deps import RecommendationId, ResourcesDep
from api.idempotency.dependency import KeyedResources
from api.jobs.events import job_changes
from api.jobs.prefer_wait import Prefer, awaited_job
from api.jobs.responses import polled_job
from api.jobs.schemas import JobOut, RecommendationJob, job_out
from api.jobs.service import cancel_job_of_type, read_job_of_type
from api.openapi import (
    BODY_REFUSED,
    KEY_REFUSED,
    MATCH_EXAMPLE,
    NO_SUCH,
    TOO_MANY,
    described_job,
    described_json,
)
from api.problems import responses
from api.recommendations.forms import read_recommendation
from api.recommendations.schemas import RecommendationIn
from api.recommendations.service import accept_recommendation
from db.tables import Job
from models.domain.recommendations.cursors import Listed, RecommendationCursor
from models.domain.types import JobType, Scope

router = APIRouter(
    prefix="/v1/recommendations",
    tags=["recommendations"],
    dependencies=[Depends(require_scope(Scope.SEARCH))],
    responses=KEY_REFUSED,
)

_LISTING: Final = str(MATCH_EXAMPLE["listing_id"])
_LED_BY: Final = "5d0c7d2e-7f0b-4a44-9a3e-6a0f2f2c9d11"
_CURSOR: Final = RecommendationCursor(
    UUID("0b7e7a5c-7d0f-4c8b-9a55-0f4f6f3c2c11"),
    f"{26:064x}",
    datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    4_711,
    1,
    (Listed(17, led=True), Listed(4_711, led=False), Listed(42, led=True)),
).encode()

_JOB = described_job(
    RecommendationJob,
    JobType.RECOMMENDATION,
    {
        "generation": 3,
        "encoder": "resnet50-1a2b3c4d",
        "took_ms": {
            "queue": 4.1,
            "decode": 0.1,
            "embed": 0.0,
            "sync": 0.8,
            "history": 1.7,
            "recommend": 46.2,
            "search": 1.1,
            "total": 54.0,
        },
        "results": [
            {
                **MATCH_EXAMPLE,
                "score": 0.701314,
                "reasons": {"interest": 0.823117, "together": 0.5, "freshness": 0.9},
                "because": {
                    "listing_id": _LED_BY,
                    "kind": "saved",
                    "title": "Blue enamel kettle",
                },
            }
        ],
        "next_cursor": _CURSOR,
    },
)

_BODY = described_json(
    RecommendationIn,
    {
        "for a user": {"user": "u-4711", "near": {"lat": 53.8, "lon": -1.55}, "limit": 20},
        "an item page": {"listing_id": _LISTING, "user": "u-4711", "limit": 12},
        "for anybody": {
            "filter": {"category": "Appliances", "price_max": "25.00", "currency": "GBP"},
            "exclude": [_LISTING],
        },
        "another order": {
            "user": "u-4711",
            "rank": {"weights": {"freshness": 0.5, "popularity": 0}},
            "diversity": {"strength": 0.3, "per_seller": 2},
            "exclude_seen": True,
        },
        "the next page": {"cursor": _CURSOR},
    },
)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BODY,
    responses={**_JOB, **NO_SUCH, **BODY_REFUSED, **TOO_MANY, **responses(HTTPStatus.GONE)},
    response_model=RecommendationJob,
)
async def submit(
    request: Request, response: Response, resources: KeyedResources, prefer: Prefer
) -> JobOut:
    """Recommend what a user would open next, and say why.

    What the `user` has viewed, saved, contacted or purchased (`POST /v1/events`) makes interests,
    each with listings that look like it, that others have touched as well, that are popular or
    fresh. Without events it is what is fresh and popular, near `near`; so it is without a user.
    With `listing_id` it is what goes with that listing, for an item page, but not its copies.

    Never recommended is what is not active, what the user has hidden, contacted, purchased or
    offers (its `seller` is the user), and what is in `exclude`. What was viewed or saved comes
    later, or with `exclude_seen` not at all.

    `score` is the mean of its `reasons`, by their weights: those that were learned from events, or
    the defaults, unless `rank` states others. `because` is the listing that led to it, and what
    the user did with that (null where it is the item page's own); null where it is only fresh or
    popular. All pages are of one order, that of the first: `next_cursor` leads on, and what was
    hidden or bought since is left out. The job's id is the `search_id` that events may state.
    """
    resources.backlog.require_room()
    asked = await read_recommendation(request)
    resources.backlog.admit()
    job = await accept_recommendation(resources, asked)
    return await awaited_job(request, resources, job, response, router.prefix, prefer)


@router.get(
    "/{recommendation_id}",
    responses={**_JOB, **NO_SUCH},
    response_model=RecommendationJob,
)
def read(
    recommendation_id: RecommendationId, resources: ResourcesDep, response: Response
) -> JobOut:
    """A recommendation's status, and its results once it has succeeded."""
    job = read_job_of_type(resources, recommendation_id, JobType.RECOMMENDATION)
    return polled_job(resources, job, response)


async def _known(recommendation_id: RecommendationId, resources: ResourcesDep) -> Job:
    # Before the stream begins: one that is not there is answered with 404.
    return await run_in_threadpool(
        read_job_of_type, resources, recommendation_id, JobType.RECOMMENDATION
    )


@router.get("/{recommendation_id}/events", response_class=EventSourceResponse, responses=NO_SUCH)
async def events(
    job: Annotated[Job, Depends(_known)], resources: ResourcesDep
) -> AsyncIterator[JobOut]:
    """The recommendation as it is, and each time it has changed, until it ends (SSE)."""
    async for changed in job_changes(resources, job):
        yield job_out(changed)


@router.delete(
    "/{recommendation_id}",
    responses=NO_SUCH,
    response_model=RecommendationJob,
)
def cancel(recommendation_id: RecommendationId, resources: ResourcesDep) -> JobOut:
    """Cancel a recommendation that has not ended; one that has stays as it is."""
    return job_out(cancel_job_of_type(resources, recommendation_id, JobType.RECOMMENDATION))
