"""The schema. All durable data is rows of it, except photo bytes and index files."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Text,
    Uuid,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from models.domain.job_payloads import StoredJson
from models.domain.types import (
    EncoderSpec,
    EncoderStatus,
    GenerationStatus,
    JobStatus,
    JobType,
    ListingStatus,
    Precision,
    RankerStatus,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC, timezone-aware in Python; SQLite itself stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times and store UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone can't be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Attach UTC where the database has dropped the time zone."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite only auto-increments a column declared exactly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB, "postgresql")
# Sorted by code point, as in SQLite, so that what begins with a word lies together.
WordText = Text().with_variant(Text(collation="C"), "postgresql")


def enum_type(enum: type[StrEnum]) -> Enum:
    """An enum kept as a short string, so that a new member needs no migration."""
    return Enum(
        enum,
        native_enum=False,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """Base of all tables; constraints have predictable names, so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute
        datetime: UtcDateTime(),
        StoredJson: Json,
        list[str]: Json,
        UUID: Uuid(),
        JobType: enum_type(JobType),
        JobStatus: enum_type(JobStatus),
        ListingStatus: enum_type(ListingStatus),
        GenerationStatus: enum_type(GenerationStatus),
        EncoderStatus: enum_type(EncoderStatus),
        RankerStatus: enum_type(RankerStatus),
        Precision: enum_type(Precision),
    }


class Category(Base):
    """A node of the category tree. `id` is the class that models learn; it never changes."""

    __tablename__ = "categories"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads this

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"))
    name: Mapped[str] = mapped_column(String(200))
    path: Mapped[str] = mapped_column(String(1000), unique=True)


class NextListingNumber(FunctionElement[int]):
    """The number of the next listing, within the INSERT of its row."""

    type = BigInteger()
    inherit_cache = True


@compiles(NextListingNumber)
def _highest_and_one(element: NextListingNumber, compiler: SQLCompiler, **_: object) -> str:
    # SQLite has one writer, and finds the highest in the index.
    # Nor is that of an erased listing given again: indexes may still know it.
    del element, compiler
    return (
        "(SELECT max(coalesce((SELECT max(number) FROM listings), 0), coalesce("
        "(SELECT number FROM highest_removed WHERE of = 'listings'), 0)) + 1)"
    )


@compiles(NextListingNumber, "postgresql")
def _next_of_sequence(element: NextListingNumber, compiler: SQLCompiler, **_: object) -> str:
    del element, compiler
    return "nextval('listing_numbers')"


class Listing(Base):
    """An item for sale. The row of a deleted listing is kept for a time, should it come back.

    `number` is what the text index and columns in memory know it by; it never changes.
    `attributes` are as `models.domain.searches.attributes` cleans them. `price_suspect` marks a
    placeholder price, `place` and `county` are the parts of `location`, degrees are WGS 84,
    `seller` is the seller's name at the listing's source. `feed` names the feed that brought it, if
    one did, and `external_id` is what that feed calls it, if not by `id`. `awaited_job` fetches
    photos of it, as long as none have been stated since.
    """

    __tablename__ = "listings"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "external_id"),
        Index("uq_listings_number", "number", unique=True),
        # Covering indexes for filters: rows are wide, and not clustered by any filtered column.
        Index(
            "ix_listings_filter_category",
            *("status", "category_id", "price", "currency", "latitude", "longitude"),
            *("seller", "id"),
        ),
        Index("ix_listings_filter_price", "status", "price", "currency", "id"),
        Index("ix_listings_filter_place", "status", "latitude", "longitude", "id"),
        # In the order in which they are erased.
        Index(
            "ix_listings_deleted",
            "updated_at",
            sqlite_where=text("status = 'deleted'"),
            postgresql_where=text("status = 'deleted'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(
        BigId, default=NextListingNumber(), server_default=text("0")
    )
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="")
    category_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"))
    price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    currency: Mapped[str | None] = mapped_column(String(3))
    price_suspect: Mapped[bool] = mapped_column(default=False, server_default=false())
    location: Mapped[str | None] = mapped_column(Text)
    place: Mapped[str | None] = mapped_column(Text)
    county: Mapped[str | None] = mapped_column(Text)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    seller: Mapped[str | None] = mapped_column(Text)
    feed: Mapped[str | None] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    attributes: Mapped[StoredJson] = mapped_column(default=dict, server_default=text("'{}'"))
    status: Mapped[ListingStatus] = mapped_column(default=ListingStatus.ACTIVE)
    awaited_job: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ListingText(Base):
    """The words of a listing that is not deleted, by field, as `models.text` reads them.

    `db.text` searches them: on SQLite by the virtual table `listing_words`, on PostgreSQL by the
    index `ix_listing_texts_words`.
    """

    __tablename__ = "listing_texts"

    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(Text)
    attributes: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)


class TextWord(Base):
    """A word that listings have, and how many do."""

    __tablename__ = "text_words"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy reads this

    word: Mapped[str] = mapped_column(WordText, primary_key=True)
    listings: Mapped[int]


class TextTrigram(Base):
    """A run of three characters of a word that a misspelt one may be meant for."""

    __tablename__ = "text_trigrams"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy reads this

    trigram: Mapped[str] = mapped_column(WordText, primary_key=True)
    word: Mapped[str] = mapped_column(WordText, primary_key=True)


class Place(Base):
    """A cached geocoder result for a place's name; without degrees where it found no such place."""

    __tablename__ = "places"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    looked_up_at: Mapped[datetime]


class Photo(Base):
    """A standardised photo, stored under its `sha256`; `id` keys the index.

    `phash` is its perceptual hash as a signed integer of 64 bits, None until it is made.
    `incomplete` says that up to a twentieth of its pixels was not in the file it was made from.
    """

    __tablename__ = "photos"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads this

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    width: Mapped[int]
    height: Mapped[int]
    phash: Mapped[int | None] = mapped_column(BigId)
    incomplete: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]


class ListingPhoto(Base):
    """A photo of a listing, in the seller's order; several listings may have the same photo."""

    __tablename__ = "listing_photos"

    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id"), primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id"), primary_key=True, index=True)
    position: Mapped[int]


class Encoder(Base):
    """An encoder, and its status in the catalogue.

    `activated_at` is when it was last made the active one, unless it was retired since, which was
    at `retired_at`;
    `comparison` holds what its last migration measured, against the one that was active then;
    `matching` the thresholds of its match labels and how right they are (`models.matching`).
    """

    __tablename__ = "encoders"
    __table_args__ = (
        # At most one active encoder, enforced by the database.
        Index(
            "uq_encoders_active",
            "status",
            unique=True,
            sqlite_where=text("status = 'active'"),
            postgresql_where=text("status = 'active'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    dimension: Mapped[int]
    precision: Mapped[Precision] = mapped_column(
        default=Precision.FLOAT32, server_default=Precision.FLOAT32.value
    )
    status: Mapped[EncoderStatus] = mapped_column(
        default=EncoderStatus.REGISTERED, server_default=EncoderStatus.REGISTERED.value
    )
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    comparison: Mapped[StoredJson | None]
    matching: Mapped[StoredJson | None]

    @property
    def spec(self) -> EncoderSpec:
        """What identifies it."""
        return EncoderSpec(self.name, self.dimension, self.fingerprint, self.precision)


class Ranker(Base):
    """Weights of recommendations that were learned, and their status.

    `weights` has the weight of each part by its name, `measured` what a trial on later choices has
    found. `activated_at` is when it was last made the active one, `replaced_id` what it replaced
    then, None for the weights that nothing was learned of.
    """

    __tablename__ = "rankers"
    __table_args__ = (
        # At most one active ranker, enforced by the database.
        Index(
            "uq_rankers_active",
            "status",
            unique=True,
            sqlite_where=text("status = 'active'"),
            postgresql_where=text("status = 'active'"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    weights: Mapped[StoredJson]
    measured: Mapped[StoredJson]
    status: Mapped[RankerStatus] = mapped_column(
        default=RankerStatus.REGISTERED, server_default=RankerStatus.REGISTERED.value
    )
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    replaced_id: Mapped[int | None] = mapped_column(ForeignKey("rankers.id"))


class Embedding(Base):
    """A photo's embedding by one encoder: an L2-normalised vector, little-endian float16.

    An empty vector means that the encoder found nothing to embed in the photo: it is not embedded
    again, and never found. Never updated: the same photo and encoder give the same vector.
    """

    __tablename__ = "embeddings"

    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoders.id"), primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id"), primary_key=True, index=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class Change(Base):
    """An entry of the change feed that index workers follow.

    `number` grows in commit order (see `db.vectors.changes`). A row says that a photo's
    embedding or its listings changed, not how: readers look up the current state, so that reading
    a change twice is harmless. It outlives the photo, which readers then find to be gone.
    """

    __tablename__ = "changes"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads this

    number: Mapped[int] = mapped_column(BigId, primary_key=True)
    photo_id: Mapped[int] = mapped_column(BigId)


class ListingChange(Base):
    """A listing that was written, in commit order as `Change`: its row is to be looked up again.

    Of one that was erased nothing but its number is left, as `gone`.
    """

    __tablename__ = "listing_changes"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads this

    number: Mapped[int] = mapped_column(BigId, primary_key=True)
    listing_id: Mapped[UUID | None]
    gone: Mapped[int | None] = mapped_column(BigInteger)


class Job(Base):
    """An accepted job. The broker only carries its id; this row is authoritative.

    `owner` is the process that has claimed it last: when it is dead, the lease need not run out.
    `user_key` is that of the user whom it was accepted for, if its payload names one. `made_by` is
    the name of the key that has asked for it, if one has: other keys do not see it. `request_id` is
    that of the request that it came of, `trace` names its trace (W3C Trace Context).
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "status", "publish_after"),
        Index(None, "status", "type", "created_at"),
        Index(None, "created_at", "id"),
        Index(
            None,
            "user_key",
            sqlite_where=text("user_key IS NOT NULL"),
            postgresql_where=text("user_key IS NOT NULL"),
        ),
        Index(
            None,
            *("made_by", "created_at", "id"),
            sqlite_where=text("made_by IS NOT NULL"),
            postgresql_where=text("made_by IS NOT NULL"),
        ),
        # At most one open reindex, enforced by the database.
        Index(
            "uq_jobs_open_reindex",
            "type",
            unique=True,
            sqlite_where=text("type = 'reindex' AND status IN ('queued', 'running')"),
            postgresql_where=text("type = 'reindex' AND status IN ('queued', 'running')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[JobType]
    status: Mapped[JobStatus] = mapped_column(default=JobStatus.QUEUED)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    payload: Mapped[StoredJson]
    result: Mapped[StoredJson | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_detail: Mapped[str | None] = mapped_column(Text)
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    attempts_before: Mapped[int] = mapped_column(default=0)
    published: Mapped[int] = mapped_column(default=0)
    publish_after: Mapped[datetime]
    lease_expires_at: Mapped[datetime | None]
    owner: Mapped[str | None] = mapped_column(String(200))
    user_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_by: Mapped[str | None] = mapped_column(String(200))
    request_id: Mapped[str | None] = mapped_column(String(64))
    trace: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Generation(Base):
    """One build of the index. Its files are only opened if they hash to `manifest_sha256`."""

    __tablename__ = "generations"
    __table_args__ = (
        Index(
            "uq_generations_live",
            "encoder_id",
            unique=True,
            sqlite_where=text("status = 'live'"),
            postgresql_where=text("status = 'live'"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoders.id"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    status: Mapped[GenerationStatus]
    factory: Mapped[str | None] = mapped_column(String(200))
    rows: Mapped[int | None]
    last_change: Mapped[int | None] = mapped_column(BigInteger)
    recall_at_10: Mapped[float | None]
    p50_ms: Mapped[float | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    manifest_sha256: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]


class ApiKey(Base):
    """An API key. Only its SHA-256 is stored, without a salt: keys are random, not chosen.

    Several may have one name: `rotate` makes another one, and the earlier ones expire. One without
    `expires_at` is valid until it is revoked. `last_used_at` is exact to about a minute.
    """

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """A key that a caller has given to a request, and the answer to it once it has made something.

    `holder` tells callers apart, `fingerprint` requests. While the request is in flight, `status`
    is null, `claim` says whose it is, and `expires_at` until when; then it says how long the answer
    is kept. A row that has expired is as if it were not there.
    """

    __tablename__ = "idempotency_keys"

    holder: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    claim: Mapped[UUID]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int | None]
    location: Mapped[str | None] = mapped_column(Text)
    body: Mapped[StoredJson | None]
    job_id: Mapped[UUID | None]


class Consumption(Base):
    """When a queue was last consumed, and with which encoder."""

    __tablename__ = "consumption"

    queue: Mapped[str] = mapped_column(String(16), primary_key=True)
    seen_at: Mapped[datetime]
    encoder_id: Mapped[int | None] = mapped_column(ForeignKey("encoders.id"))


class Deployment(Base):
    """One row: what tells this database from all others, in what several of them share."""

    __tablename__ = "deployment"

    id: Mapped[UUID] = mapped_column(primary_key=True)
