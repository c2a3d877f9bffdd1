"""Predictions: submit a photo or a listing, read what it likely is and costs."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from api.auth import require_scope
from api.deps import JobId, ResourcesDep
from api.idempotency.dependency import KeyedResources
from api.jobs.prefer_wait import Prefer, awaited_job
from api.jobs.responses import polled_job
from api.jobs.schemas import JobOut, PredictionJob, job_out
from api.jobs.service import cancel_job_of_type, read_job_of_type
from api.openapi import (
    BODY_REFUSED,
    KEY_REFUSED,
    MATCH_EXAMPLE,
    NO_SUCH,
    TOO_MANY,
    described_body,
    described_job,
)
from api.predictions.forms import read_prediction
from api.predictions.schemas import PredictionIn, PredictionOptions
from api.predictions.service import accept_prediction
from models.domain.types import JobType, Scope

router = APIRouter(
    prefix="/v1/predictions",
    tags=["predictions"],
    dependencies=[Depends(require_scope(Scope.SEARCH))],
    responses=KEY_REFUSED,
)

_JOB = described_job(
    PredictionJob,
    JobType.PREDICTION,
    {
        "encoder": "resnet50-1a2b3c4d",
        "generation": 3,
        "method": "head",
        "calibrated": True,
        "categories": [
            {"category": "Appliances / Kettles", "probability": 0.91},
            {"category": "Home & Garden / Kitchen", "probability": 0.06},
        ],
        "roots": [
            {"category": "Appliances", "probability": 0.93},
            {"category": "Home & Garden", "probability": 0.07},
        ],
        "price_band": {
            "currency": "GBP",
            "low": "8.00",
            "median": "12.50",
            "high": "20.00",
            "listings": 18,
            "quantiles": {
                "p10": "6.50",
                "p25": "8.00",
                "p50": "12.50",
                "p75": "20.00",
                "p90": "28.00",
            },
        },
        "attributes": [
            {"name": "colour", "value": "red", "share": 0.74, "listings": 9, "of": 12},
        ],
        "photos": [
            {
                "photo": f"{7:064x}",
                "flaws": ["blurred"],
                "blur": 0.52,
                "brightness": 0.83,
                "short_side": 384,
                "contrast": 1.41,
                "subjects": [
                    {"region": {"x": 0.25, "y": 0.1, "w": 0.5, "h": 0.6}, "share": 0.93},
                ],
            },
        ],
        "duplicates": [{**MATCH_EXAMPLE, "relation": "same_photo"}],
        "took_ms": {
            "queue": 4.1,
            "decode": 2.0,
            "embed": 61.3,
            "sync": 0.8,
            "search": 1.9,
            "predict": 3.2,
            "total": 73.5,
        },
    },
)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=described_body(PredictionOptions, PredictionIn),
    responses={**_JOB, **NO_SUCH, **BODY_REFUSED, **TOO_MANY},
    response_model=PredictionJob,
)
async def submit(
    request: Request, response: Response, resources: KeyedResources, prefer: Prefer
) -> JobOut:
    """Predict category, price and attributes of what a photo or a listing (JSON) shows.

    Categories, with the `roots` of their paths, come from a trained `head`, or from the nearest
    listings where there is none. Prices, attributes and duplicates always come from these; a
    listing is never its own neighbour. An attribute is suggested where at least four of them state
    it and three agree. `photos` says what is `blurred`, `dark`, `too small` or has `no clear
    subject`, with the numbers behind, and where the subjects are: each `region` can be searched by.
    A duplicate's `relation` says whether it shows the `same_photo`, be it compressed, scaled,
    marked or mirrored, or likely the `same_item` in another one.
    """
    resources.backlog.require_room()
    query = await read_prediction(request, resources.max_upload_bytes)
    resources.backlog.admit()
    job = await accept_prediction(resources, query)
    return await awaited_job(request, resources, job, response, router.prefix, prefer)


@router.get(
    "/{job_id}",
    responses={**_JOB, **NO_SUCH},
    response_model=PredictionJob,
)
def read(job_id: JobId, resources: ResourcesDep, response: Response) -> JobOut:
    """A prediction's status, and the prediction once it has succeeded."""
    job = read_job_of_type(resources, job_id, JobType.PREDICTION)
    return polled_job(resources, job, response)


@router.delete(
    "/{job_id}",
    responses=NO_SUCH,
    response_model=PredictionJob,
)
def cancel(job_id: JobId, resources: ResourcesDep) -> JobOut:
    """Cancel a prediction that has not ended; one that has stays as it is."""
    return job_out(cancel_job_of_type(resources, job_id, JobType.PREDICTION))
