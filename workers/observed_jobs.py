"""What is told of an attempt at a job that has ended: counts, spans, and a line if it was slow."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from db.jobs.claiming import Claim
from models.domain.job_results.base import JobResult
from models.domain.job_results.embeddings import EmbeddingResult
from models.domain.job_results.predictions import PredictionResult
from models.domain.job_results.recommendations import RecommendationResult
from models.domain.job_results.searches import SearchResult
from models.domain.types import JobType
from observability import metrics, stages, traces
from workers.queue.messages import QUERIES

log = logging.getLogger(__name__)

LONG: Final = frozenset(
    {JobType.REINDEX, JobType.DUPLICATES, JobType.ADAPT, JobType.CALIBRATE, JobType.MATCH}
)
"""Jobs of all the catalogue, which nobody waits for: none is slow."""


def attempt_ended(
    claim: Claim,
    result: JobResult | None,
    recorded: stages.Stages,
    now: datetime,
    slow_s: float,
) -> None:
    """Tell of an attempt that has ended now, as `recorded` says."""
    outcome = recorded.outcome or "succeeded"
    if isinstance(result, SearchResult | RecommendationResult | EmbeddingResult | PredictionResult):
        took_ms = _consistent(result.took_ms)
    else:
        total_ms = (now - claim.created_at).total_seconds() * 1e3
        queued_ms = total_ms - recorded.total_ms
        took_ms = _consistent({"queue": queued_ms, **recorded.took_ms, "total": total_ms})
    is_done = outcome == "succeeded"
    # Where it failed, its stages are not known.
    metrics.job_ended(claim.type, outcome, took_ms if is_done else {})
    if is_done and _is_slow(claim, took_ms, slow_s):
        metrics.SLOW_JOBS.count(claim.type)
        log.warning(
            "job %s: slow %s: %s",
            claim.job_id,
            claim.type,
            stages.sentence(took_ms),
            extra={"took_ms": {stage: round(taken, 1) for stage, taken in took_ms.items()}},
        )
    if traces.is_on():
        traces.add_job(
            claim.trace,
            traces.TracedJob(
                type=claim.type,
                job_id=str(claim.job_id),
                attempt=claim.attempt,
                outcome=outcome,
                began=now - timedelta(milliseconds=took_ms["total"]),
                ended=now,
                stages_ms=took_ms if is_done else {},
            ),
        )


def _consistent(took_ms: Mapping[str, float]) -> dict[str, float]:
    """The stages, none negative, and a total of at least their sum: clocks may differ."""
    parts = {stage: max(0.0, taken) for stage, taken in took_ms.items() if stage != "total"}
    return {**parts, "total": max(took_ms["total"], sum(parts.values()))}


def _is_slow(claim: Claim, took_ms: Mapping[str, float], slow_s: float) -> bool:
    """Queries by all of their time, embed jobs by that of their work for each photo."""
    if claim.type in QUERIES:
        return took_ms["total"] > slow_s * 1e3
    if claim.type in LONG:
        return False
    photos = claim.stored_payload.get("photo_ids")
    number = max(1, len(photos)) if isinstance(photos, list) else 1
    return took_ms["total"] - took_ms["queue"] > slow_s * 1e3 * number
