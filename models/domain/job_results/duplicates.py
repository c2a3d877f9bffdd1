"""Clusters of near duplicates."""

from uuid import UUID

from models.domain.job_results.base import JobResult, Part, PhotoName
from models.domain.types import JobType, ListingStatus, Relation


class ClusteredListing(Part):
    """A listing in a cluster, by the photo that links it best; `similarity` is that link's."""

    listing_id: UUID
    title: str
    seller: str | None
    status: ListingStatus
    photo: PhotoName
    similarity: float


class DuplicateCluster(Part):
    """Listings that show the same photo or item; of many, `listings` has the first."""

    relation: Relation
    sellers: int
    listings_total: int
    listings: tuple[ClusteredListing, ...]


class DuplicatesResult(JobResult):
    """Clusters of near duplicates in the catalogue; of many, `clusters` has the first."""

    job_type = JobType.DUPLICATES

    encoder: str
    generation: int | None
    exact: bool
    photos: int
    unreadable: int
    clusters_total: dict[Relation, int]
    clusters: tuple[DuplicateCluster, ...]
