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
from models.domain.regions import Region
from models.domain.searches.attributes import AttributeValue, Scalar
from models.domain.searches.options import RankPart
from models.domain.types import JobType, ListingStatus, MatchLabel, PhotoFlaw, Relation


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


class ShownListing(Part):
    """A listing as it was when it was found."""

    listing_id: UUID
    title: str
    price: Decimal | None
    currency: str | None
    category: str | None
    location: str | None
    # Listings had none in earlier releases.
    attributes: dict[str, AttributeValue] = {}


class SimilarListing(ShownListing):
    """A listing by the one of its photos that is most similar; `similarity` is the cosine."""

    photo: PhotoName
    similarity: float


class FoundListing(ShownListing):
    """A listing at the time of the search; `photo` is the one of its photos that matches best.

    `similarity` is the cosine, in [-1, 1]: None where nothing was compared, as when it was found by
    words and none of its photos is embedded. Then `photo` is its first, None if it has none. Of a
    search that ranks, `score` in [0, 1] is the weighted mean of `reasons`, its parts by name.
    `match` says how sure it is that this is what was searched for; None where that is not known.
    """

    photo: PhotoName | None
    similarity: float | None
    score: float | None = None
    reasons: dict[RankPart, float] | None = None
    match: MatchLabel | None = None


class CategoryCount(Part):
    """How many listings are in a category, those below it included."""

    category: str
    count: int


class ValueCount(Part):
    """How many listings have a value; a text is as one of them writes it."""

    value: bool | str
    count: int


class Band(Part):
    """How many listings have a number from `at_least` on and `below` another; None is no bound."""

    at_least: float | None
    below: float | None
    count: int


class Bands(Part):
    """All numbers of an attribute, or all prices in a `currency`, in bands."""

    currency: str | None = None
    count: int
    bands: tuple[Band, ...]


class Facet(Part):
    """How the listings that a search could find are spread, by what `name` says.

    `listings` have it at all. A category is counted with all above it, most frequent first, a list
    of texts by each of its texts. `values` are the most frequent; `other_values` others there are.
    """

    name: str
    listings: int
    categories: tuple[CategoryCount, ...] = ()
    values: tuple[ValueCount, ...] = ()
    other_values: int = 0
    bands: tuple[Bands, ...] = ()


class SearchResult(JobResult):
    """A page of listings, best first.

    `generation` is that of the index, None if there is none. `exact` says whether the search was
    exhaustive. A search by text alone has neither encoder nor generation. `facets` are in the order
    in which they were asked for. `match` is the surest of the results' labels: with `none`, nothing
    in the catalogue is like what was searched for. None where nothing has a label.
    `region` is the part of the photo that was searched by, drawn or found, None for all of it.
    `corrected` are the words that were searched for where some that were stated are in no listing,
    and `left_out` those that no listing has beside the others.
    """

    job_type = JobType.SEARCH

    generation: int | None
    encoder: str | None
    exact: bool = False
    took_ms: Milliseconds
    results: tuple[FoundListing, ...]
    match: MatchLabel | None = None
    next_cursor: str | None = None
    region: Region | None = None
    facets: tuple[Facet, ...] = ()
    corrected: str | None = None
    left_out: tuple[str, ...] = ()


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


class PriceQuantiles(Part):
    """Prices under which a tenth, a quarter, half, three quarters, nine tenths of listings are."""

    p10: Decimal
    p25: Decimal
    p50: Decimal
    p75: Decimal
    p90: Decimal


class PriceRange(Part):
    """Quantiles of the prices of so many listings; `low`, `median` and `high` are the quartiles."""

    currency: str
    low: Decimal
    median: Decimal
    high: Decimal
    listings: int
    quantiles: PriceQuantiles | None = None


class SuggestedAttribute(Part):
    """A value that an attribute likely has; of an attribute that is a list, one of its texts.

    `share` is its share of the votes, in [0, 1], of the `of` neighbours that state the attribute;
    `listings` of them have this value.
    """

    name: str
    value: Scalar
    share: float
    listings: int
    of: int


class FoundSubject(Part):
    """Something that a photo shows, and its `share` of what stands out there, in [0, 1]."""

    region: Region
    share: float


class PhotoReport(Part):
    """A photo that a prediction is made from: what is wrong with it, by which numbers.

    `blur` is from 0 (sharp) to 1, `brightness` that of the lightest parts, from 0 to 1,
    `short_side` in pixels as the photo is kept, `contrast` how clearly a subject stands out.
    `subjects` are the most salient first; both are unknown without a network.
    """

    photo: Sha256
    flaws: tuple[PhotoFlaw, ...]
    blur: float
    brightness: float
    short_side: int
    contrast: float | None = None
    subjects: tuple[FoundSubject, ...] = ()


class LikelyDuplicate(SimilarListing):
    """A listing that shows the same photo or, likely, the same item."""

    relation: Relation | None = None


class PredictionResult(JobResult):
    """What a photo or a listing likely shows and costs, and how good its photos are."""

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
    # Earlier releases did not say these.
    attributes: tuple[SuggestedAttribute, ...] = ()
    photos: tuple[PhotoReport, ...] = ()


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


class MatchResult(JobResult):
    """How many saved searches were embedded, and how many listings were matched with them."""

    job_type = JobType.MATCH

    embedded: int
    listings: int


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
