"""Accepts predictions of what a photo or a listing shows."""

from functools import partial

from fastapi.concurrency import run_in_threadpool

from api.deps import Resources
from api.jobs.service import accept_and_publish
from api.photos.decoders import Decode
from api.photos.service import store_photo
from api.predictions.schemas import PredictionByPhoto, PredictionIn
from db.catalogue.listings import require_listing
from db.tables import Job
from models.domain.job_payloads import PredictionPayload


async def accept_prediction(resources: Resources, query: PredictionByPhoto | PredictionIn) -> Job:
    """Accept a prediction. Raises InvalidPhoto, UnsupportedPhoto, or NotFound for a listing."""
    if isinstance(query, PredictionIn):
        return await run_in_threadpool(_accept_by_listing, resources, query)
    work = partial(_accept_by_photo, resources, query)
    return await resources.decoders.run(work, resources.uploads)


def _accept_by_photo(resources: Resources, query: PredictionByPhoto, decode: Decode) -> Job:
    stored = store_photo(resources, query.photo, decode)
    payload = PredictionPayload.of(stored.sha256, query.options.top)
    return accept_and_publish(resources, payload, total=1)


def _accept_by_listing(resources: Resources, query: PredictionIn) -> Job:
    with resources.database.read() as session:
        require_listing(session, query.listing_id)
    payload = PredictionPayload.of(query.listing_id, query.top)
    return accept_and_publish(resources, payload, total=1)
