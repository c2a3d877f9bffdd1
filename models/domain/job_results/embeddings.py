"""What was embedded, and what was wrong with the other photos and rows."""

from uuid import UUID

from models.domain.job_results.base import JobResult, Milliseconds, Part, PhotoName
from models.domain.types import JobType


class EmbeddingResult(JobResult):
    """A unit vector of `dimension` numbers; comparable with those of the same `fingerprint`."""

    job_type = JobType.EMBEDDING

    encoder: str
    fingerprint: str
    dimension: int
    embedding: tuple[float, ...]
    took_ms: Milliseconds


class PhotoError(Part):
    """Why a photo was not embedded, or one at a URL was not fetched; `url` is shown redacted.

    `position` is that of the first photo at this URL among those that were stated, from 0.
    """

    photo: PhotoName | None = None
    url: str | None = None
    position: int | None = None
    code: str
    detail: str


class EmbedResult(JobResult):
    """How many photos were embedded, and what was wrong with the others."""

    job_type = JobType.EMBED

    embedded: int
    errors: tuple[PhotoError, ...]


class RowError(Part):
    """Why one row of a bulk request was left out, or lacks a photo; rows count from 1."""

    row: int
    code: str
    detail: str


class BatchResult(JobResult):
    """Which rows of a bulk request were accepted; set when the job is accepted.

    Errors of photos at URLs come later, and leave their rows accepted.
    """

    job_type = JobType.BATCH

    rows: int
    accepted: int
    listing_ids: tuple[UUID, ...]
    errors: tuple[RowError, ...]


class MatchResult(JobResult):
    """How many saved searches were embedded, and how many listings were matched with them."""

    job_type = JobType.MATCH

    embedded: int
    listings: int
