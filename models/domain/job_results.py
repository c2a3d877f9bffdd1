"""The result of each type of job: one frozen class a type.

A worker builds a job's result, and the database stores the JSON that it serialises to. Results of
earlier releases still parse. Photos are named by their SHA-256: URLs are made by the API.
"""

from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from models.domain.errors import UnreadableRecord
from models.domain.job_payloads import Sha256, StoredJson
from models.domain.types import JobType, ListingStatus, MatchLabel, Relation


def _sha256_of(stored: object) -> object:
    """Earlier releases stored a photo with its URL."""
    return stored["id"] if isinstance(stored, dict) and "id" in stored else stored


PhotoName = Annotated[Sha256, BeforeValidator(_sha256_of)]
"""SHA-256 of a photo."""

Milliseconds = dict[str, float]
"""The time that each named part of a job took, and the `total` from its acceptance."""


class Part(BaseModel):
    """A part of a result. Unknown fields of other releases are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class JobResult(Part):
    """The result of a job."""

    job_type: ClassVar[JobType]

    def to_json(self) -> StoredJson:
        """The result as the database stores it."""
        return self.model_dump(mode="json")


class FoundListing(Part):
    """A listing at the time of the search; `photo` is the one of its photos that matches best.

    `similarity` is the cosine, in [-1, 1]. `match` says how sure it is that this is what was
    searched for; None where that is not calibrated.
    """

    listing_id: UUID
    title: str
    price: Decimal | None
    currency: str | None
    category: str | None
    location: str | None
    photo: PhotoName
    similarity: float
    match: MatchLabel | None = None


class SearchResult(JobResult):
    """A page of listings, most similar first.

    `generation` is that of the index, None if there is none. `exact` says whether the search was
    exhaustive. `match` is the surest of the results' labels: with `none`, nothing in the catalogue
    is like what was searched for. None where labels are not calibrated, or nothing was found.
    """

    job_type = JobType.SEARCH

    generation: int | None
    encoder: str
    exact: bool = False
    took_ms: Milliseconds
    results: tuple[FoundListing, ...]
    match: MatchLabel | None = None
    next_cursor: str | None = None


class EmbeddingResult(JobResult):
    """A unit vector of `dimension` numbers; comparable with those of the same `fingerprint`."""

    job_type = JobType.EMBEDDING

    encoder: str
    fingerprint: str
    dimension: int
    embedding: tuple[float, ...]
    took_ms: Milliseconds


class CategoryProbability(Part):
    """A category path and its probability, in [0, 1]."""

    category: str
    probability: float


class PriceRange(Part):
    """The quartiles of the prices of so many listings."""

    currency: str
    low: Decimal
    median: Decimal
    high: Decimal
    listings: int


class LikelyDuplicate(FoundListing):
    """A listing that shows the same photo or, likely, the same item."""

    relation: Relation | None = None


class PredictionResult(JobResult):
    """What a photo or a listing likely shows and costs."""

    job_type = JobType.PREDICTION

    encoder: str
    generation: int | None
    method: Literal["head", "neighbours"]
    calibrated: bool
    categories: tuple[CategoryProbability, ...]
    roots: tuple[CategoryProbability, ...]
    price_band: PriceRange | None
    duplicates: tuple[LikelyDuplicate, ...]
    took_ms: Milliseconds


class PhotoError(Part):
    """Why a photo was not embedded."""

    photo: PhotoName
    code: str
    detail: str


class EmbedResult(JobResult):
    """How many photos were embedded, and what was wrong with the others."""

    job_type = JobType.EMBED

    embedded: int
    errors: tuple[PhotoError, ...]


class RowError(Part):
    """Why one row of a bulk request was left out; rows count from 1."""

    row: int
    code: str
    detail: str


class BatchResult(JobResult):
    """Which rows of a bulk request were accepted; set when the job is accepted."""

    job_type = JobType.BATCH

    rows: int
    accepted: int
    listing_ids: tuple[UUID, ...]
    errors: tuple[RowError, ...]


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


class AdaptResult(JobResult):
    """What was learned from the catalogue: an encoder, by its label, or why there is none.

    `photos` counts those that were embedded at that time. `gain` is by how much the mean average
    precision was higher on listings that were held out. `int8` is the faster network that was
    changed to before, `int8_refusal` says why there is none; neither where none was due.
    `replaced` are the encoders of the network before, kept up to date for some time still.
    """

    job_type = JobType.ADAPT

    photos: int
    encoder: str | None = None
    refusal: str | None = None
    gain: float | None = None
    int8: str | None = None
    int8_refusal: str | None = None
    replaced: tuple[str, ...] = ()


class CalibrateResult(JobResult):
    """Which encoder's match labels were calibrated, by its label, or why they were not.

    `photos` counts those that it had embedded, `listings` those that were asked about. `withheld`
    are labels that were not right often enough, and are never given.
    """

    job_type = JobType.CALIBRATE

    encoder: str
    photos: int
    listings: int = 0
    refusal: str | None = None
    withheld: tuple[MatchLabel, ...] = ()


_ADAPTERS: Final[dict[JobType, TypeAdapter[JobResult]]] = {
    JobType.SEARCH: TypeAdapter(SearchResult),
    JobType.EMBEDDING: TypeAdapter(EmbeddingResult),
    JobType.PREDICTION: TypeAdapter(PredictionResult),
    JobType.EMBED: TypeAdapter(EmbedResult),
    JobType.BATCH: TypeAdapter(BatchResult),
    JobType.REINDEX: TypeAdapter(BuiltIndex | RepairedIndex),
    JobType.DUPLICATES: TypeAdapter(DuplicatesResult),
    JobType.ADAPT: TypeAdapter(AdaptResult),
    JobType.CALIBRATE: TypeAdapter(CalibrateResult),
}


def parse_result(job_type: JobType, stored: StoredJson) -> JobResult:
    """The result of a job of this type. Raises UnreadableRecord for what no release has stored."""
    try:
        return _ADAPTERS[job_type].validate_python(stored)
    except ValidationError as error:
        raise UnreadableRecord(
            f"This release can't read the result of the {job_type} job."
        ) from error
