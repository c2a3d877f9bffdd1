"""Types shared by all packages: states, kinds and small frozen values. Standard library only."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class JobType(StrEnum):
    """What a job does."""

    SEARCH = "search"
    EMBED = "embed"
    BATCH = "batch"
    REINDEX = "reindex"
    EMBEDDING = "embedding"
    PREDICTION = "prediction"
    DUPLICATES = "duplicates"
    ADAPT = "adapt"
    CALIBRATE = "calibrate"
    MATCH = "match"
    RECOMMENDATION = "recommendation"


class JobStatus(StrEnum):
    """The state of a job. All but `queued` and `running` are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the job will never change again by itself."""
        return self not in OPEN_STATUSES


OPEN_STATUSES = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
ENDED_STATUSES = frozenset(JobStatus) - OPEN_STATUSES


class ListingStatus(StrEnum):
    """Whether a listing can be bought. All but the deleted ones are shown and can be found.

    A search finds the active ones, unless its filter says otherwise.
    """

    ACTIVE = "active"
    RESERVED = "reserved"
    SOLD = "sold"
    DELETED = "deleted"


class GenerationStatus(StrEnum):
    """The state of an index generation."""

    BUILDING = "building"
    LIVE = "live"
    RETIRED = "retired"
    REMOVED = "removed"
    REFUSED = "refused"
    FAILED = "failed"


class Precision(StrEnum):
    """The number format an encoder computes in."""

    FLOAT32 = "float32"
    INT8 = "int8"


class EncoderStatus(StrEnum):
    """The role of an encoder in the catalogue. At most one is `active`.

    `registered`: known only. `followed`: every photo is embedded by it as by the active one, so
    that searches can change to it at any time. `active`: used by searches. `retired`: no longer
    used or kept up to date.
    """

    REGISTERED = "registered"
    FOLLOWED = "followed"
    ACTIVE = "active"
    RETIRED = "retired"


class RankerStatus(StrEnum):
    """The role of learned weights. At most one ranker is `active`; without one, it is the defaults.

    `registered`: never used. `active`: used by recommendations. `retired`: was active before.
    """

    REGISTERED = "registered"
    ACTIVE = "active"
    RETIRED = "retired"


class Scope(StrEnum):
    """What an API key may do."""

    SEARCH = "search"
    WRITE = "write"
    EVENTS = "events"
    METRICS = "metrics"
    ADMIN = "admin"


class AuditSource(StrEnum):
    """Where a change that is recorded in the audit log came from."""

    API = "api"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What identifies an encoder, without loading it.

    `fingerprint` is the SHA-256 (hex) of everything that shapes a vector: the encoder's name and
    version, its weights, its transform and its precision. Two vectors may be compared only when
    their fingerprints are equal. `dimension` is the length of a vector.
    """

    name: str
    dimension: int
    fingerprint: str
    precision: Precision = Precision.FLOAT32

    @property
    def label(self) -> str:
        """A short name for people and folders: `resnet50-1a2b3c4d`, `resnet50-int8-5e6f7a8b`."""
        kind = "" if self.precision is Precision.FLOAT32 else f"-{self.precision}"
        return f"{self.name}{kind}-{self.fingerprint[:8]}"


@dataclass(frozen=True, slots=True)
class Match:
    """One photo found by the index; `similarity` is the cosine, in [-1, 1]."""

    photo_id: int
    similarity: float


@dataclass(frozen=True, slots=True)
class ListingMatch:
    """A listing found, by the photo of it that matches best."""

    listing_id: UUID
    photo_id: int
    similarity: float

    @property
    def place(self) -> tuple[float, int, UUID]:
        """What listings are ordered by: most similar first, then by photo, then by listing.

        No two listings have the same place, so that a page can start right after any of them.
        """
        return -self.similarity, self.photo_id, self.listing_id


class PhotoFlaw(StrEnum):
    """What is wrong with a photo, in words."""

    BLURRED = "blurred"
    DARK = "dark"
    TOO_SMALL = "too small"
    NO_CLEAR_SUBJECT = "no clear subject"


class Relation(StrEnum):
    """What a photo is to another one; the closer relation comes first."""

    SAME_PHOTO = "same_photo"
    """A copy: the same file, or one compressed, scaled, brightened, marked or mirrored."""
    SAME_ITEM = "same_item"
    """Likely the same thing, in another photo or a copy that was cropped."""


class MatchLabel(StrEnum):
    """How sure it is that a result is what was searched for; the surer label comes first.

    Each is calibrated on the catalogue's own photos (see `models.matching`).
    """

    SAME_ITEM = "same item"
    """The same thing: 19 times of 20, or more."""
    VERY_SIMILAR = "very similar"
    """Of the same sub category: four times of five, or more."""
    RELATED = "related"
    """More like it than what is found for a picture of anything else."""
    NONE = "none"
    """No more like it than what is found for a picture of anything."""
