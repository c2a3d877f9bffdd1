"""Results as the database stores them, those of earlier releases included."""

from typing import Final

from pydantic import TypeAdapter, ValidationError

from models.domain.errors import UnreadableRecord
from models.domain.job_payloads import StoredJson
from models.domain.job_results.base import JobResult
from models.domain.job_results.duplicates import DuplicatesResult
from models.domain.job_results.embeddings import (
    BatchResult,
    EmbeddingResult,
    EmbedResult,
    MatchResult,
)
from models.domain.job_results.encoders import AdaptResult, CalibrateResult
from models.domain.job_results.indexes import BuiltIndex, RepairedIndex
from models.domain.job_results.predictions import PredictionResult
from models.domain.job_results.recommendations import RecommendationResult
from models.domain.job_results.searches import SearchResult
from models.domain.types import JobType

_ADAPTERS: Final[dict[JobType, TypeAdapter[JobResult]]] = {
    JobType.SEARCH: TypeAdapter(SearchResult),
    JobType.EMBEDDING: TypeAdapter(EmbeddingResult),
    JobType.PREDICTION: TypeAdapter(PredictionResult),
    JobType.RECOMMENDATION: TypeAdapter(RecommendationResult),
    JobType.EMBED: TypeAdapter(EmbedResult),
    JobType.BATCH: TypeAdapter(BatchResult),
    JobType.REINDEX: TypeAdapter(BuiltIndex | RepairedIndex),
    JobType.DUPLICATES: TypeAdapter(DuplicatesResult),
    JobType.ADAPT: TypeAdapter(AdaptResult),
    JobType.CALIBRATE: TypeAdapter(CalibrateResult),
    JobType.MATCH: TypeAdapter(MatchResult),
}


def parse_result(job_type: JobType, stored: StoredJson) -> JobResult:
    """The result of a job of this type. Raises UnreadableRecord for what no release has stored."""
    try:
        return _ADAPTERS[job_type].validate_python(stored)
    except ValidationError as error:
        raise UnreadableRecord(
            f"This release can't read the result of the {job_type} job."
        ) from error
