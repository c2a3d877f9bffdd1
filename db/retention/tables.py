"""What is remembered of what was removed: nothing of its content."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Base, BigId
from models.domain.job_payloads import StoredJson


class HighestRemoved(Base):
    """The highest number that was removed of a numbered table, by its name.

    Of a log of changes, all up to it were; who has read less has missed some. A listing's number is
    never given again.
    """

    __tablename__ = "highest_removed"

    of: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class Erasure(Base):
    """That something was erased: `kind` (`db.retention.erasures`), when, and how much.

    `pending` says what is still to be looked for, until there is no trace of it: then it is None.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        Index(
            "ix_erasures_pending",
            "id",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    listings: Mapped[int]
    photos: Mapped[int]
    requested_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    pending: Mapped[StoredJson | None]
