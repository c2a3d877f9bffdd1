"""Indexes that were built, or repaired."""

from models.domain.job_results.base import JobResult
from models.domain.types import JobType


class ReindexResult(JobResult):
    """The result of a reindex."""

    job_type = JobType.REINDEX

    rows: int


class BuiltIndex(ReindexResult):
    """A generation that was built, measured and made live; see `models.index.manifest`."""

    generation: int
    factory: str
    last_change: int
    recall_at_10: float
    p50_ms: float
    bytes: int
    # Earlier releases did not measure these.
    why: str = ""
    effort: int = 0
    candidates: int = 0
    queries: int = 0
    p95_ms: float | None = None


class RepairedIndex(ReindexResult):
    """An index on a server that was compared with the database: photos added and removed."""

    added: int
    removed: int
