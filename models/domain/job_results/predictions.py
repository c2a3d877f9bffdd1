"""What a photo or a listing likely is, and costs; and how good its photos are."""

from decimal import Decimal
from typing import Literal

from models.domain.job_payloads import Sha256
from models.domain.job_results.base import JobResult, Milliseconds, Part
from models.domain.job_results.listings import SimilarListing
from models.domain.regions import Region
from models.domain.searches.attributes import Scalar
from models.domain.types import JobType, PhotoFlaw, Relation


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
