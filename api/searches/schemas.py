"""What a search may ask for. Names and shapes of the models are the HTTP contract."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    Tag,
    model_validator,
)

from api.schemas import AS_TYPED, LINE, MAX_LIMIT, CategoryPath, Price, ShownStatus, UserId
from api.searches.ranking import DiversityIn, PointIn, RankIn
from api.uploads.spool import Upload
from models.domain.cursors import MAX_CURSOR
from models.domain.errors import InvalidInput
from models.domain.filters import ListingFilter, Near
from models.domain.job_payloads import example_of, is_sha256
from models.domain.limits import MAX_SELLER
from models.domain.regions import AUTO, Region, SearchedRegion
from models.domain.searches.attributes import (
    MAX_ATTRIBUTE_NAME,
    MAX_ATTRIBUTE_NUMBER,
    MAX_ATTRIBUTE_TEXT,
    AttributeCondition,
)
from models.domain.searches.facets import (
    DEFAULT_FACET_VALUES,
    MAX_FACET_EDGES,
    MAX_FACET_VALUES,
    FacetRequest,
)
from models.domain.searches.options import DEFAULT_FUSION, MAX_TEXT_QUERY, FusionMethod
from models.domain.types import ListingStatus

DEFAULT_LIMIT = 10
MAX_EXAMPLES = 16
MAX_FACETS = 16
MAX_ATTRIBUTE_CONDITIONS = 16
MAX_ATTRIBUTE_CHOICES = 100
NEAR: Final = "Where distance is counted from: what is nearer ranks higher."
FACETS: Final = "What to count: `category`, `price` or `attributes.NAME`."
# Half the circumference of the earth.
MAX_KM = 20_040
# Tolerance for floating-point sums of fractions.
ROUNDING = 1e-9


def _as_list(stated: object) -> object:
    """A single value as a list of one."""
    return [stated] if isinstance(stated, str) else stated


def _example(name: str) -> str:
    """The id of a listing or of a photo, in its canonical form."""
    try:
        return str(example_of(name))
    except ValueError:
        raise ValueError("is neither the id of a listing nor of a photo") from None


Example = Annotated[str, AfterValidator(_example)]


AttributeName = Annotated[str, Field(max_length=MAX_ATTRIBUTE_NAME), LINE]
AttributeText = Annotated[str, Field(max_length=MAX_ATTRIBUTE_TEXT), LINE]
AttributeNumber = Annotated[
    float, Field(ge=-MAX_ATTRIBUTE_NUMBER, le=MAX_ATTRIBUTE_NUMBER, allow_inf_nan=False)
]


class NearIn(BaseModel):
    """A circle on the earth."""

    model_config = ConfigDict(extra="forbid")

    lat: float = Field(ge=-90, le=90, allow_inf_nan=False, description="Degrees of WGS 84.")
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False, description="East positive.")
    km: float = Field(gt=0, le=MAX_KM, allow_inf_nan=False, description="Its radius.")


class RangeIn(BaseModel):
    """A number within bounds, which are inclusive; without any, every number."""

    model_config = ConfigDict(extra="forbid")

    min: AttributeNumber | None = None
    max: AttributeNumber | None = None

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is over max")
        return self


AttributeScalar = bool | AttributeNumber | AttributeText
AttributeWanted = (
    AttributeScalar
    | Annotated[
        list[AttributeScalar], Field(min_length=1, max_length=MAX_ATTRIBUTE_CHOICES, fail_fast=True)
    ]
    | RangeIn
)


def _condition(name: str, wanted: AttributeWanted) -> AttributeCondition:
    # A text that has nothing to show is a value that no listing has.
    name = name.casefold()
    if isinstance(wanted, RangeIn):
        return AttributeCondition(name, at_least=wanted.min, at_most=wanted.max)
    return AttributeCondition(name, tuple(wanted) if isinstance(wanted, list) else (wanted,))


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # In the first or the last year, by its zone beyond what a datetime can be.
        return moment.replace(tzinfo=UTC)


class ConditionsIn(BaseModel):
    """What an active listing must be to be found: all that is stated. Bounds are inclusive."""

    model_config = ConfigDict(extra="forbid")

    category: CategoryPath | None = Field(
        default=None, description="Path such as `Home & Garden`; those below it count too."
    )
    price_min: Price | None = Field(default=None, description="Without a price, none passes.")
    price_max: Price | None = None
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$", description="ISO 4217.")
    near: NearIn | None = Field(default=None, description="Without a place, none passes.")
    seller: Annotated[str, Field(max_length=MAX_SELLER), LINE] | None = None
    exclude_seller: Annotated[str, Field(max_length=MAX_SELLER), LINE] | None = None
    created_after: AwareDatetime | None = Field(
        default=None, description="Only what was created later than this."
    )
    attributes: (
        Annotated[dict[AttributeName, AttributeWanted], Field(max_length=MAX_ATTRIBUTE_CONDITIONS)]
        | None
    ) = Field(
        default=None,
        description="What each attribute must be: a value, one of several, or a number within "
        "bounds. Without the attribute, none passes; case does not matter.",
    )

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        low, high = self.price_min, self.price_max
        if low is not None and high is not None and low > high:
            raise ValueError("price_min is over price_max")
        return self

    def to_filter(self) -> ListingFilter:
        """The filter as the database takes it."""
        return ListingFilter(
            category=self.category,
            price_min=self.price_min,
            price_max=self.price_max,
            currency=self.currency,
            near=Near(self.near.lat, self.near.lon, self.near.km) if self.near else None,
            seller=self.seller,
            exclude_seller=self.exclude_seller,
            created_after=self.created_after and _in_utc(self.created_after),
            attributes=tuple(
                _condition(name, wanted) for name, wanted in (self.attributes or {}).items()
            ),
        )


class FilterIn(ConditionsIn):
    """What a listing must be to be found: all that is stated here. Bounds are inclusive."""

    status: Annotated[
        list[ShownStatus], Field(fail_fast=True), BeforeValidator(_as_list), Field(min_length=1)
    ] = Field(default=[ListingStatus.ACTIVE], description="One or several.")

    def to_filter(self) -> ListingFilter:
        """The filter as the database takes it."""
        return replace(super().to_filter(), status=tuple(dict.fromkeys(self.status)))


FacetName = Annotated[
    str,
    Field(
        max_length=MAX_ATTRIBUTE_NAME + len("attributes."),
        pattern=r"^(category|price|attributes\..+)$",
    ),
]


class FacetIn(BaseModel):
    """What is counted beside what is found."""

    model_config = ConfigDict(extra="forbid")

    name: FacetName
    values: int = Field(
        default=DEFAULT_FACET_VALUES, ge=1, le=MAX_FACET_VALUES, description="At most so many."
    )
    edges: Annotated[list[AttributeNumber], Field(max_length=MAX_FACET_EDGES, fail_fast=True)] = (
        Field(
            default=[], description="Of the bands of numbers, ascending; round numbers by default."
        )
    )

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        self.to_request()
        return self

    def to_request(self) -> FacetRequest:
        """The facet as it is counted. Raises ValueError with what is wrong."""
        return FacetRequest(self.name, self.values, tuple(self.edges))


class RegionIn(BaseModel):
    """A part of the upright photo, in fractions of its width and height from its top left."""

    model_config = ConfigDict(extra="forbid")

    x: float = Field(ge=0, lt=1, allow_inf_nan=False)
    y: float = Field(ge=0, lt=1, allow_inf_nan=False)
    w: float = Field(gt=0, le=1, allow_inf_nan=False)
    h: float = Field(gt=0, le=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_in_the_photo(self) -> Self:
        if max(self.x + self.w, self.y + self.h) > 1 + ROUNDING:
            raise ValueError("the region ends beyond the photo")
        return self

    def to_region(self) -> Region:
        """The region as photos are cut by it."""
        return Region(self.x, self.y, self.w, self.h)


def _kind_of_region(stated: object) -> str | None:
    if isinstance(stated, str):
        return AUTO if stated == AUTO else None
    return "box"


RegionOrAuto = Annotated[
    Annotated[RegionIn, Tag("box")] | Annotated[Literal["auto"], Tag(AUTO)],
    Discriminator(
        _kind_of_region,
        custom_error_type="region",
        custom_error_message="is neither 'auto' nor a part of the photo: x, y, w and h",
    ),
]
"""A part of a photo, or that its subject is to be found."""


def _as_json(stated: object) -> object:
    """The word `auto` as JSON has it: in a form nobody quotes it."""
    return f'"{AUTO}"' if stated == AUTO else stated


def searched_region(stated: RegionOrAuto | None) -> SearchedRegion | None:
    """What is stated, as jobs take it."""
    return stated.to_region() if isinstance(stated, RegionIn) else stated


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_QUERY), AS_TYPED]
Similarity = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


def _kind_of_facet(stated: object) -> str:
    return "name" if isinstance(stated, str) else "facet"


# Told apart first, so that what is wrong is said of the one that is meant.
_Facet = Annotated[
    Annotated[FacetName, Tag("name")] | Annotated[FacetIn, Tag("facet")],
    Discriminator(_kind_of_facet),
]
Facets = Annotated[list[_Facet], Field(max_length=MAX_FACETS, fail_fast=True)]


class SearchOptions(BaseModel):
    """What every search may say."""

    model_config = ConfigDict(extra="forbid")

    text: Text | None = Field(
        default=None,
        description="Words that are wanted, beside how it looks or alone. "
        '`"a phrase"` stays together, `-this` is not wanted. The last word may be unfinished.',
    )
    min_similarity: Similarity | None = Field(
        default=None, description="Only listings that are at least so similar."
    )
    fusion: FusionMethod | None = Field(
        default=None,
        description="How look and words make one order: by their values (`convex`), or by their "
        f"places (`rrf`, reciprocal rank fusion); `{DEFAULT_FUSION}` by default.",
    )


class SearchForm(SearchOptions):
    """What a search by photos may say beside them; what is no number or word as JSON."""

    limit: int = Field(
        default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="At most so many listings."
    )
    filter: Json[FilterIn] | None = None
    region: Annotated[Json[RegionOrAuto] | None, BeforeValidator(_as_json)] = Field(
        default=None, description="Of the only photo; `auto` finds its subject."
    )
    rank: Json[RankIn] | None = None
    near: Json[PointIn] | None = Field(default=None, description=NEAR)
    diversity: Json[DiversityIn] | None = None
    facets: Json[Facets] | None = Field(default=None, description=FACETS)


class SearchIn(SearchOptions):
    """A search by what is stored, by words, or the next page of one.

    It has one of `listing_id`, `positive` and `cursor`, or `text` alone.
    """

    listing_id: UUID | None = Field(default=None, description="What looks like this listing.")
    positive: Annotated[list[Example], Field(min_length=1, fail_fast=True)] | None = Field(
        default=None, description="What looks like these: ids of listings, or of their photos."
    )
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = Field(
        default=None, description="`next_cursor` of a search; only `limit` may go with it."
    )
    negative: Annotated[list[Example], Field(fail_fast=True)] = Field(
        default=[], description=f"And not like these; at most {MAX_EXAMPLES} with `positive`."
    )
    region: RegionOrAuto | None = Field(
        default=None, description="Of the only positive, a photo; `auto` finds its subject."
    )
    filter: FilterIn | None = None
    rank: RankIn | None = None
    near: PointIn | None = Field(default=None, description=NEAR)
    diversity: DiversityIn | None = None
    facets: Facets | None = Field(default=None, description=FACETS)
    limit: int | None = Field(
        default=None,
        ge=1,
        le=MAX_LIMIT,
        description=f"At most so many listings; {DEFAULT_LIMIT}, or as many as the page before.",
    )

    @model_validator(mode="after")
    def _has_one_query(self) -> Self:
        ways = sum(way is not None for way in (self.listing_id, self.positive, self.cursor))
        if ways > 1 or (ways == 0 and self.text is None):
            raise ValueError("one of listing_id, positive and cursor is needed, or text")
        if self.cursor is not None and self.model_fields_set - {"cursor", "limit"}:
            raise ValueError("nothing but limit goes with a cursor")
        if self.positive is None and (self.negative or self.region):
            raise ValueError("negative and region need positive")
        if ways == 0 and self.min_similarity is not None:
            raise ValueError("min_similarity needs listing_id or positive")
        return self

    @model_validator(mode="after")
    def _examples_fit(self) -> Self:
        positive = self.positive or []
        if len(positive) + len(self.negative) > MAX_EXAMPLES:
            raise ValueError(f"at most {MAX_EXAMPLES} examples make one search")
        if set(positive) & set(self.negative):
            raise ValueError("what is positive can't be negative too")
        if self.region and not (len(positive) == 1 and is_sha256(positive[0])):
            raise ValueError("a region needs exactly one positive, a photo")
        return self


_USER: Final = (
    "The caller's pseudonym of who searches: what this user has hidden is left out, and events may "
    "state the search's id. The pseudonym itself is stored nowhere."
)


class UserSearchForm(SearchForm):
    """What a search by photos may say beside them, and who searches."""

    user: UserId | None = Field(default=None, description=_USER)


class UserSearchIn(SearchIn):
    """A search by what is stored, by words, or the next page of one, and who searches."""

    user: UserId | None = Field(default=None, description=_USER)


def facet_requests(stated: Sequence[str | FacetIn] | None) -> tuple[FacetRequest, ...] | None:
    """The facets that a search asks for, None if it asks for none.

    Raises InvalidInput for an attribute whose name has nothing to show.
    """
    try:
        return (
            tuple(FacetRequest(one) if isinstance(one, str) else one.to_request() for one in stated)
            if stated
            else None
        )
    except ValueError as error:
        raise InvalidInput(f"One of the facets can't be counted: {error}.") from None


@dataclass(frozen=True, slots=True)
class SearchByPhotos:
    """A search by photos that were sent along."""

    positive: Sequence[Upload]
    negative: Sequence[Upload]
    options: SearchForm
    user: str | None = None
