"""Accepts recommendations: checks what they name, and builds the job's payload."""

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from api.deps import Resources
from api.jobs.service import accept_and_publish, read_job_of_type
from api.recommendations.schemas import (
    DEFAULT_LIMIT,
    RecommendationIn,
    RecommendationRankIn,
    RecommendationWeightsIn,
)
from db.catalogue.listings import require_listing
from db.events.users import user_key
from db.ranking.of_recommendations import recommendation_ranking
from db.tables import Job
from db.vectors.encoders import active_encoder
from models.domain.errors import CursorExpired
from models.domain.job_payloads import RecommendationPayload
from models.domain.recommendations.cursors import RecommendationCursor
from models.domain.searches.options import Ranking, RankPart
from models.domain.types import JobType


async def accept_recommendation(resources: Resources, asked: RecommendationIn) -> Job:
    """Accept a recommendation.

    Raises NotFound for a listing, and InvalidInput, NotFound or CursorExpired for a next page.
    """
    accept = _accept_first_page if asked.cursor is None else _accept_next_page
    return await run_in_threadpool(accept, resources, asked)


def _accept_first_page(resources: Resources, asked: RecommendationIn) -> Job:
    with resources.database.read() as session:
        if asked.listing_id is not None:
            require_listing(session, asked.listing_id)
        user = None if asked.user is None else user_key(session, asked.user).hex()
        ranking = _ranking(session, asked.rank or RecommendationRankIn())
    exclude_seen = asked.exclude_seen
    payload = RecommendationPayload(
        user=user,
        listing_id=asked.listing_id,
        filter=asked.filter and asked.filter.to_filter(),
        near=asked.near and asked.near.to_place(),
        rank=ranking,
        diversity=asked.diversity and asked.diversity.to_diversity(),
        exclude=tuple(dict.fromkeys(asked.exclude)),
        exclude_seen=resources.exclude_seen if exclude_seen is None else exclude_seen,
        limit=asked.limit or DEFAULT_LIMIT,
    )
    return accept_and_publish(resources, payload, total=1)


def _ranking(session: Session, rank: RecommendationRankIn) -> Ranking:
    weights = rank.weights or RecommendationWeightsIn()
    stated = {RankPart(name): weight for name, weight in weights if weight is not None}
    return recommendation_ranking(session, stated, rank.half_km, rank.half_days)


def _accept_next_page(resources: Resources, asked: RecommendationIn) -> Job:
    cursor = RecommendationCursor.decode(asked.cursor or "")
    job = read_job_of_type(resources, cursor.recommendation_id, JobType.RECOMMENDATION)
    before = RecommendationPayload.parse(job.payload)
    if cursor.fingerprint is not None:
        with resources.database.read() as session:
            active = active_encoder(session)
        if active is not None and active.fingerprint != cursor.fingerprint:
            raise CursorExpired("Photos are compared by another encoder since: ask again.")
    changed = {"cursor": asked.cursor, "limit": asked.limit or before.limit}
    return accept_and_publish(resources, before.model_copy(update=changed), total=1)
