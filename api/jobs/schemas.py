"""Jobs as shown, each type with its own result. Names and shapes are the HTTP contract."""

import logging
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from api.schemas import PhotoLink
from db.tables import Job
from models.domain.errors import UnreadableRecord
from models.domain.job_results.duplicates import (
    ClusteredListing,
    DuplicateCluster,
    DuplicatesResult,
)
from models.domain.job_results.embeddings import (
    BatchResult,
    EmbeddingResult,
    EmbedResult,
    MatchResult,
)
from models.domain.job_results.encoders import AdaptResult, CalibrateResult
from models.domain.job_results.indexes import BuiltIndex, RepairedIndex
from models.domain.job_results.predictions import LikelyDuplicate, PredictionResult
from models.domain.job_results.recommendations import RecommendationResult, RecommendedListing
from models.domain.job_results.searches import FoundListing, SearchResult
from models.domain.types import JobStatus, JobType

log = logging.getLogger(__name__)

UNREADABLE: Final = "The result was stored by another release, and can't be read by this one."


def _with_url(photo: object) -> object:
    return PhotoLink.of(photo) if isinstance(photo, str) else photo


Photo = Annotated[PhotoLink, BeforeValidator(_with_url)]
"""A photo of a result: stored as its SHA-256, shown with its URL."""


class FoundListingOut(FoundListing):
    """A listing that was found, by the photo of it that matches best."""

    photo: Photo | None  # type: ignore[assignment] # on the wire it has a URL


class SearchResultOut(SearchResult):
    """The listings of one page, most similar first."""

    results: tuple[FoundListingOut, ...]


class RecommendedListingOut(RecommendedListing):
    """A listing that is recommended, and why."""

    photo: Photo | None  # type: ignore[assignment] # on the wire it has a URL


class RecommendationResultOut(RecommendationResult):
    """The listings of one page, best first."""

    results: tuple[RecommendedListingOut, ...]


class LikelyDuplicateOut(LikelyDuplicate):
    """A listing that shows the same photo or, likely, the same item."""

    photo: Photo  # type: ignore[assignment] # on the wire it has a URL


class PredictionResultOut(PredictionResult):
    """What a photo or a listing likely shows and costs."""

    duplicates: tuple[LikelyDuplicateOut, ...]


class ClusteredListingOut(ClusteredListing):
    """A listing in a cluster, by the photo that links it best."""

    photo: Photo  # type: ignore[assignment] # on the wire it has a URL


class DuplicateClusterOut(DuplicateCluster):
    """Listings that show the same photo or item; of many, `listings` has the first."""

    listings: tuple[ClusteredListingOut, ...]


class DuplicatesResultOut(DuplicatesResult):
    """Clusters of near duplicates in the catalogue; of many, `clusters` has the first."""

    clusters: tuple[DuplicateClusterOut, ...]


class Progress(BaseModel):
    """How far a job is, in photos (in rows of the index for a reindex)."""

    total: int
    done: int
    failed: int


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    detail: str


class _JobOut(BaseModel):
    """What jobs of every type have in common."""

    id: UUID
    type: JobType
    status: JobStatus
    progress: Progress
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    request_id: str | None = Field(
        default=None, description="The `X-Request-ID` of the request that it came of."
    )
    error: JobError | None


class _QueryOut(_JobOut):
    """What queries have in common. `expected_wait_s` is how long it will take about, if known."""

    expected_wait_s: float | None = None


class SearchJob(_QueryOut):
    """A search."""

    type: Literal[JobType.SEARCH]
    result: SearchResultOut | None


class EmbeddingJob(_QueryOut):
    """The embedding of a photo."""

    type: Literal[JobType.EMBEDDING]
    result: EmbeddingResult | None


class PredictionJob(_QueryOut):
    """A prediction."""

    type: Literal[JobType.PREDICTION]
    result: PredictionResultOut | None


class RecommendationJob(_QueryOut):
    """A recommendation."""

    type: Literal[JobType.RECOMMENDATION]
    result: RecommendationResultOut | None


class EmbedJob(_JobOut):
    """The embedding of listings' photos, which makes them findable."""

    type: Literal[JobType.EMBED]
    result: EmbedResult | None


class BatchJob(_JobOut):
    """A bulk request; its result says from the start which rows were accepted."""

    type: Literal[JobType.BATCH]
    result: BatchResult | None


class ReindexJob(_JobOut):
    """A reindex."""

    type: Literal[JobType.REINDEX]
    result: BuiltIndex | RepairedIndex | None


class DuplicatesJob(_JobOut):
    """A search of the whole catalogue for near duplicates."""

    type: Literal[JobType.DUPLICATES]
    result: DuplicatesResultOut | None


class AdaptJob(_JobOut):
    """What the catalogue teaches about comparing its photos, learned and tried."""

    type: Literal[JobType.ADAPT]
    result: AdaptResult | None


class CalibrateJob(_JobOut):
    """How right an encoder's match labels are, measured on the catalogue's own photos."""

    type: Literal[JobType.CALIBRATE]
    result: CalibrateResult | None


class MatchJob(_JobOut):
    """What has changed is matched with the saved searches; it is asked for by itself."""

    type: Literal[JobType.MATCH]
    result: MatchResult | None


JobOut = Annotated[
    SearchJob
    | EmbeddingJob
    | PredictionJob
    | RecommendationJob
    | EmbedJob
    | BatchJob
    | ReindexJob
    | DuplicatesJob
    | AdaptJob
    | CalibrateJob
    | MatchJob,
    Field(discriminator="type"),
]
"""A job; its `type` says what its `result` is."""

_JOB_OUT: Final[TypeAdapter[JobOut]] = TypeAdapter(JobOut)


def job_out(job: Job, expected_wait_s: float | None = None) -> JobOut:
    """The job as it is now. A result that this release can't read is shown as an error."""
    error = None
    if job.error_code is not None:
        error = JobError(code=job.error_code, detail=job.error_detail or "")
    shown = {
        "id": job.id,
        "type": job.type,
        "status": job.status,
        "progress": Progress(total=job.total, done=job.done, failed=job.failed),
        "attempt": job.attempt,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "request_id": job.request_id,
        "error": error,
        "result": job.result,
        "expected_wait_s": expected_wait_s,
    }
    try:
        return _JOB_OUT.validate_python(shown)
    except ValidationError:
        log.exception("job %s: its result can't be read by this release", job.id)
        unreadable = JobError(code=UnreadableRecord.code, detail=UNREADABLE)
        return _JOB_OUT.validate_python({**shown, "error": unreadable, "result": None})


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobOut]
    next_cursor: str | None
