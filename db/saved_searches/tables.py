"""The tables of saved searches.

Their rows name listings and photos without foreign keys: to insert one would lock rows of listings
that others write, in another order than theirs.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Base, BigId
from models.domain.job_payloads import StoredJson


class SavedSearch(Base):
    """A stored search, which listings are matched with as they become findable.

    `number` grows in the order in which they were saved. `stated` is what its caller asked for, to
    be shown; `payload` is that of a search, and `listing_photos` are the SHA-256 of the photos that
    each listing it names had then. `min_similarity` is the least cosine of a match, None for the
    encoder's default. `after` is the last listing change before it was saved: what came earlier is
    not for it. `made_by` is the name of the key that has saved it, if one has: others don't see it.
    """

    __tablename__ = "saved_searches"
    __table_args__ = (
        Index(None, "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(BigId, primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(Text)
    stated: Mapped[StoredJson]
    payload: Mapped[StoredJson]
    listing_photos: Mapped[StoredJson]
    min_similarity: Mapped[float | None]
    after: Mapped[int] = mapped_column(BigInteger)
    webhook_url: Mapped[str | None] = mapped_column(Text)
    webhook_host: Mapped[str | None] = mapped_column(Text)
    webhook_secret: Mapped[str | None] = mapped_column(Text)
    webhook_disabled_at: Mapped[datetime | None]
    made_by: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]


class SavedSearchVectors(Base):
    """The unit vectors that a saved search compares photos with, as embeddings are stored.

    One after the other, little-endian float16; none, and why, where the encoder can't embed it.
    None without a reason for a search for words alone.
    """

    __tablename__ = "saved_search_vectors"

    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoders.id"), primary_key=True)
    saved_search: Mapped[int] = mapped_column(
        ForeignKey("saved_searches.number"), primary_key=True, index=True
    )
    vectors: Mapped[bytes] = mapped_column(LargeBinary)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_detail: Mapped[str | None] = mapped_column(Text)


class SavedSearchChange(Base):
    """A saved search that was made, embedded or deleted, in commit order.

    As with `db.tables.Change`, a row only says that it is to be looked up again.
    """

    __tablename__ = "saved_search_changes"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads this

    number: Mapped[int] = mapped_column(BigId, primary_key=True)
    saved_search: Mapped[int] = mapped_column(BigInteger)


class SavedSearchMatch(Base):
    """A listing that a saved search has found: once, whatever becomes of it.

    `photo_id` is the one of its photos that matched best. Of a search for words alone it is the
    first, None if there is none, and `similarity` is None. With a webhook, `next_attempt_at` says
    when it is to be sent (again), until it was delivered or given up; `error` is why the last
    attempt failed.
    """

    __tablename__ = "saved_search_matches"
    __table_args__ = (
        Index(None, "saved_search", "created_at", "listing_id"),
        # By which they go with their listing.
        Index(None, "listing_id"),
        Index(
            "ix_saved_search_matches_due",
            "next_attempt_at",
            sqlite_where=text("next_attempt_at IS NOT NULL"),
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
    )

    saved_search: Mapped[int] = mapped_column(ForeignKey("saved_searches.number"), primary_key=True)
    listing_id: Mapped[UUID] = mapped_column(primary_key=True)
    photo_id: Mapped[int | None] = mapped_column(BigInteger)
    similarity: Mapped[float | None]
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)


class MatchingProgress(Base):
    """One row: which listing changes were matched with the saved searches.

    All up to `number` were; those after `switched_at` by this encoder.
    """

    __tablename__ = "matching_progress"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    encoder_id: Mapped[int | None] = mapped_column(ForeignKey("encoders.id"))
    switched_at: Mapped[int] = mapped_column(BigInteger)
