"""What is recommended, and why."""

from uuid import UUID

from models.domain.job_results.base import JobResult, Milliseconds, Part, PhotoName
from models.domain.job_results.listings import ShownListing
from models.domain.recommendations.events import EventKind
from models.domain.searches.options import RankPart
from models.domain.types import JobType


class Because(Part):
    """The listing that led to a recommendation; `title` is None if it is not there any more.

    `kind` is what the user did with it, None where it is the listing of the item page.
    """

    listing_id: UUID
    kind: EventKind | None
    title: str | None


class RecommendedListing(ShownListing):
    """A listing that is recommended, by the one of its photos that led to it, or its first.

    `similarity` is the cosine with what led to it, None where nothing was compared. `score` in
    [0, 1] is the weighted mean of `reasons`, its parts by name. `because` is None for what is fresh
    or popular.
    """

    photo: PhotoName | None
    similarity: float | None
    score: float
    reasons: dict[RankPart, float]
    because: Because | None


class RecommendationResult(JobResult):
    """A page of listings, best first.

    `generation` is that of the index, and `encoder` its label; None where neither had a part in it.
    """

    job_type = JobType.RECOMMENDATION

    generation: int | None
    encoder: str | None
    took_ms: Milliseconds
    results: tuple[RecommendedListing, ...]
    next_cursor: str | None = None
