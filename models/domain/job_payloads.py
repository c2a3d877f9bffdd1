"""The payload of each type of job: one frozen class a type.

The payload is built when a job is accepted, stored as JSON, and read by the worker. Payloads of
earlier releases still parse.
"""

import re
from typing import Annotated, ClassVar, Final, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)

from models.domain.errors import UnreadableRecord
from models.domain.filters import ListingFilter
from models.domain.regions import SearchedRegion
from models.domain.searches.facets import FacetRequest
from models.domain.searches.options import (
    MAX_TEXT_QUERY,
    Diversity,
    FusionMethod,
    Place,
    Ranking,
)
from models.domain.types import JobType

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a standardised photo, in lower-case hexadecimal."""

Example = UUID | Sha256
"""What a query is made from: the id of a listing, or the SHA-256 of a photo."""

UserKeyHex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""The key of a user, in lower-case hexadecimal: a user's id is stored nowhere."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether a text can be the SHA-256 of a photo."""
    return _SHA256.fullmatch(text) is not None


def example_of(text: str) -> Example:
    """The photo or the listing that a text names. Raises ValueError if it can name neither."""
    return text if is_sha256(text) else UUID(text)


StoredJson = dict[str, object]
"""A JSON object, as the database stores it."""


class JobPayload(BaseModel):
    """The input of a job.

    `photo_fields` are the stored fields that hold the SHA-256 of a photo, `photo_lists` those that
    hold several: the photo store keeps what they name, because a job can be retried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_type: ClassVar[JobType]
    photo_fields: ClassVar[tuple[str, ...]] = ()
    photo_lists: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, stored: StoredJson) -> Self:
        """The payload of a stored row. Raises UnreadableRecord for what no release has stored."""
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            raise UnreadableRecord(
                f"This release can't read what the {cls.job_type} job asks for: it was accepted by "
                "another."
            ) from error

    def to_json(self) -> StoredJson:
        """The payload as the database stores it; what is None is left out."""
        return self.model_dump(mode="json", exclude_none=True)


class SearchPayload(JobPayload):
    """Find the listings that look like the positives, not like the negatives, and have the words.

    `region` is a part of the only positive, a photo: drawn, or its subject; `cursor` is where the
    next page of an earlier search starts; `facets` are counted as well. `text` may be all there is.
    `rank`, `diversity` and `near`, where distance is counted from, say how results are ordered;
    without these and `text`, they are by similarity. What the `user` has hidden is left out.
    """

    job_type = JobType.SEARCH
    # Earlier releases stored a single `photo`.
    photo_fields = ("photo",)
    photo_lists = ("positive", "negative")

    positive: tuple[Example, ...] = ()
    negative: tuple[Example, ...] = ()
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT_QUERY)] | None = None
    region: SearchedRegion | None = None
    filter: ListingFilter | None = None
    rank: Ranking | None = None
    fusion: FusionMethod | None = None
    near: Place | None = None
    diversity: Diversity | None = None
    min_similarity: float | None = None
    facets: tuple[FacetRequest, ...] | None = None
    user: UserKeyHex | None = None
    limit: int
    cursor: str | None = None

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if not self.positive and self.text is None:
            raise ValueError("a search needs a photo, a listing or a text")
        return self

    @property
    def is_ranked(self) -> bool:
        """Whether results are ordered by more than one thing."""
        is_hybrid = self.text is not None and bool(self.positive)
        return self.rank is not None or self.diversity is not None or is_hybrid

    @property
    def is_by_look_alone(self) -> bool:
        """Whether results are ordered by similarity."""
        return self.text is None and not self.is_ranked

    @model_validator(mode="before")
    @classmethod
    def _from_a_single_example(cls, stored: object) -> object:
        """Read what earlier releases stored: a `photo` or a `listing_id` instead of `positive`."""
        if not isinstance(stored, dict) or not stored.keys() & set(_SINGLE):
            return stored
        rest = {name: value for name, value in stored.items() if name not in _SINGLE}
        return {**rest, "positive": [stored[name] for name in _SINGLE if stored.get(name)]}


_SINGLE: Final = ("photo", "listing_id")


class EmbeddingPayload(JobPayload):
    """Embed a photo, and give the vector."""

    job_type = JobType.EMBEDDING
    photo_fields = ("photo",)

    photo: Sha256


class PredictionPayload(JobPayload):
    """Predict the `top` likeliest categories, and the price, of a photo or of a listing."""

    job_type = JobType.PREDICTION
    photo_fields = ("photo",)

    photo: Sha256 | None = None
    listing_id: UUID | None = None
    top: int

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        if (self.photo is None) == (self.listing_id is None):
            raise ValueError("a prediction is of a photo or of a listing")
        return self

    @classmethod
    def of(cls, example: Example, top: int) -> Self:
        """A prediction of this photo or listing."""
        if isinstance(example, UUID):
            return cls(listing_id=example, top=top)
        return cls(photo=example, top=top)

    @property
    def example(self) -> Example:
        """The photo or the listing."""
        example = self.photo or self.listing_id
        if example is None:
            raise ValueError("a prediction is of a photo or of a listing")
        return example


class FailedUrl(BaseModel):
    """A photo's URL that was not fetched, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    code: str
    detail: str


class PhotosToFetch(BaseModel):
    """A listing's photos in their order: the SHA-256 of those that are stored, URLs of others.

    `failed` are URLs that are not tried again. `row` is the listing's in its bulk request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    listing_id: UUID
    photos: tuple[str, ...]
    failed: tuple[FailedUrl, ...] = ()
    row: int | None = None

    @property
    def urls(self) -> list[str]:
        """The URLs that are to be fetched, each once."""
        settled = {failed.url for failed in self.failed}
        named = dict.fromkeys(photo for photo in self.photos if not is_sha256(photo))
        return [url for url in named if url not in settled]


class RecommendationPayload(JobPayload):
    """Recommend listings to a `user`, beside the listing of an item page, or to anybody.

    With neither user nor listing, it is what is fresh and popular. `near` is where distance is
    counted from, `exclude` are listings that are left out; those that the user has seen come later,
    or with `exclude_seen` not at all. `cursor` is where the next page of an earlier one starts.
    """

    job_type = JobType.RECOMMENDATION

    user: UserKeyHex | None = None
    listing_id: UUID | None = None
    filter: ListingFilter | None = None
    near: Place | None = None
    rank: Ranking
    diversity: Diversity | None = None
    exclude: tuple[UUID, ...] = ()
    exclude_seen: bool = False
    limit: int
    cursor: str | None = None

    @property
    def user_key(self) -> bytes | None:
        """The key of the user, if there is one."""
        return None if self.user is None else bytes.fromhex(self.user)


class OneByOne(BaseModel):
    """How far an embed job is that works on its photos one by one, as an attempt at all has died.

    `trying` is the photo that is worked on. `broken` counts, by photo, the attempts that have ended
    with that photo, which is then alone to blame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trying: int | None = None
    broken: dict[int, int] = {}

    def begin(self, photo_id: int) -> Self:
        """Once this photo is worked on."""
        return self.model_copy(update={"trying": photo_id})

    def end(self) -> Self:
        """Once that photo is done."""
        return self.model_copy(update={"trying": None})

    def blame(self) -> Self:
        """Once the attempt has ended with the photo that was worked on, if one was."""
        if self.trying is None:
            return self
        broken = {**self.broken, self.trying: self.broken.get(self.trying, 0) + 1}
        return self.model_copy(update={"trying": None, "broken": broken})


class EmbedPayload(JobPayload):
    """Embed photos of listings, by id: by all encoders that are followed, or by one.

    Those to `fetch` are fetched first, and then named by `photo_ids` as well.
    """

    job_type = JobType.EMBED

    photo_ids: tuple[int, ...]
    encoder_id: int | None = None
    fetch: PhotosToFetch | None = None
    one_by_one: OneByOne | None = None

    @property
    def urls(self) -> list[str]:
        """The URLs that are to be fetched first."""
        return self.fetch.urls if self.fetch else []


class BatchPayload(JobPayload):
    """The parent of embed jobs; it asks for nothing itself."""

    job_type = JobType.BATCH


class ReindexPayload(JobPayload):
    """Build the index of the active encoder's vectors, or of another's.

    `factory` is a FAISS factory string instead of the planned one, `recall_target` a recall@10
    instead of the configured one.
    """

    job_type = JobType.REINDEX

    encoder_id: int | None = None
    factory: str | None = None
    recall_target: float | None = None


class DuplicatesPayload(JobPayload):
    """Find listings that show the same photo or the same item."""

    job_type = JobType.DUPLICATES


class AdaptPayload(JobPayload):
    """Learn from the catalogue how to compare its photos, and search so if that finds more."""

    job_type = JobType.ADAPT


class CalibratePayload(JobPayload):
    """Calibrate the match labels of the active encoder, or of another that is followed."""

    job_type = JobType.CALIBRATE

    encoder_id: int | None = None


class MatchPayload(JobPayload):
    """Embed the saved searches that wait for it, and match the listings that have changed."""

    job_type = JobType.MATCH


PAYLOAD_TYPES: Final[dict[JobType, type[JobPayload]]] = {
    payload.job_type: payload
    for payload in (
        SearchPayload,
        EmbeddingPayload,
        PredictionPayload,
        RecommendationPayload,
        EmbedPayload,
        BatchPayload,
        ReindexPayload,
        DuplicatesPayload,
        AdaptPayload,
        CalibratePayload,
        MatchPayload,
    )
}


def parse_payload(job_type: JobType, stored: StoredJson) -> JobPayload:
    """The payload of a job of this type. Raises UnreadableRecord, as `JobPayload.parse` does."""
    return PAYLOAD_TYPES[job_type].parse(stored)
